from hypothesis import HealthCheck, settings

# The same examples each time, and no limit on seconds: a busy machine is no bug.
settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
