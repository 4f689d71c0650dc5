"""The processes that take and give events: worker, controller, trainer, the command line and the local broker."""
