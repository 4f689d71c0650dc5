"""Windows are taken when the model is free, and committed in the order in which they were taken."""

from agents.hotloop.asking import Asking
from agents.hotloop.window import Bounds
from agents.inference import Urgency
from agents.metrics import Metrics
from agents.serving import Parked, ServingTable
from schemas.documents import DocumentEvent, Task
from tests.agents.echo import project, served, table
from tests.agents.factories import item
from tests.agents.flow_kit import BULK, INTERACTIVE, LONG, Patient, Tables, scene, settled


async def test_a_lone_document_is_asked_at_once_and_what_arrives_meanwhile_is_the_next_window() -> None:
    async with scene() as here:
        partition = here.own()
        await here.arrive(partition, "a")
        await here.arrive(partition, "b")
        await here.arrive(partition, "c")
        assert here.engine.texts == [["a"]]
        await here.engine.answer(0)
        assert here.engine.texts == [["a"], ["b", "c"]]
        assert here.commits.texts == [["a"]]


async def test_a_whole_window_is_tokenised_while_another_is_read() -> None:
    async with scene() as here:
        partition = here.own()
        await here.arrive(partition, *"abcdefghijk")
        assert here.engine.texts == [list("abcd"), list("efgh")], "ijk may still grow"
        await here.engine.answer(0)
        assert here.engine.texts == [list("abcd"), list("efgh")], "one is enough ahead"
        await here.engine.answer(1)
        assert here.engine.texts[2:] == [list("ijk")]


async def test_half_a_window_is_taken_ahead_where_that_is_enough() -> None:
    async with scene(Bounds(4, 400, enough=0.5)) as here:
        partition = here.own()
        await here.arrive(partition, "a")
        await here.arrive(partition, "b")
        assert here.engine.texts == [["a"]], "one of four may still grow"
        await here.arrive(partition, "c")
        assert here.engine.texts == [["a"], ["b", "c"]]


async def test_a_window_takes_the_partition_that_has_waited_longest_and_others_only_until_it_is_enough() -> None:
    async with scene(Bounds(4, 400, enough=0.5)) as here:
        first, second, third = (here.own(number=number) for number in range(3))
        await here.arrive(first, "a")
        await here.arrive(third, "b")
        await here.arrive(second, "c")
        assert here.engine.texts == [["a"], ["b", "c"]]
        await here.arrive(second, "d", "e", "f")
        await here.arrive(first, "g")
        await here.engine.answer(0)
        assert here.engine.texts[2:] == [["d", "e", "f"]], "g would need a transaction of its own"
        await here.engine.answer(1)
        await here.engine.answer(2)
        assert here.engine.texts[3:] == [["g"]]


async def test_the_reader_may_rest_while_a_window_is_in_the_model() -> None:
    async with scene() as here:
        assert not here.reader.busy()
        await here.arrive(here.own(), "a")
        assert here.reader.busy()
        await here.engine.answer(0)
        assert not here.reader.busy()


async def test_windows_are_committed_in_the_order_in_which_they_were_taken() -> None:
    async with scene() as here:
        await here.arrive(here.own(), *"abcdefgh")
        await here.engine.answer(1)
        assert here.commits.texts == []
        await here.engine.answer(0)
        assert here.commits.texts == [list("abcd"), list("efgh")]


async def test_the_interactive_lane_is_asked_while_the_bulk_lane_is_busy() -> None:
    async with scene() as here:
        await here.arrive(here.own(BULK), *"abcdefgh")
        await here.arrive(here.own(INTERACTIVE), "now")
        assert [(urgency, len(texts)) for urgency, texts, _ in here.engine.asked] == [
            (Urgency.BULK, 4), (Urgency.BULK, 4), (Urgency.INTERACTIVE, 1),
        ]  # fmt: skip
        await here.engine.answer(2)
        assert here.commits.texts == [["now"]]


async def test_a_long_document_holds_up_nobody_but_its_own_partition() -> None:
    async with scene() as here:
        one, other = here.own(BULK, 0), here.own(BULK, 1)
        await here.arrive(one, "long", n_tokens=LONG)
        await here.arrive(one, "after")
        await here.arrive(other, "free")
        assert here.engine.texts == [["long"], ["free"]]
        assert here.engine.asked[0][0] is Urgency.BULK_LONG
        await here.engine.answer(1)
        assert here.engine.texts == [["long"], ["free"]], "its partition waits"
        await here.engine.answer(0)
        assert here.engine.texts[2:] == [["after"]]
        assert here.commits.texts == [["free"], ["long"]]


async def test_a_book_holds_up_no_other_long_document() -> None:
    async with scene() as here:
        one, other, urgent = here.own(BULK, 0), here.own(BULK, 1), here.own(INTERACTIVE, 0)
        await here.arrive(one, "book", n_tokens=100 * LONG)
        await here.arrive(other, "letter", n_tokens=LONG)
        await here.arrive(other, "after")
        await here.arrive(urgent, "long request", n_tokens=LONG)
        assert here.engine.texts == [["book"], ["letter"], ["long request"]]
        assert here.engine.asked[2][0] is Urgency.INTERACTIVE_LONG
        await here.engine.answer(1)
        await here.engine.answer(2)
        assert here.commits.texts == [["letter"], ["long request"]]
        assert here.engine.texts[3:] == [["after"]]


async def test_long_documents_are_read_in_the_order_of_their_arrival() -> None:
    async with scene() as here:
        partitions = [here.own(BULK, number) for number in range(6)]
        for number, partition in enumerate(partitions):
            await here.arrive(partition, f"a{number}", f"b{number}", n_tokens=LONG)
        for at in range(9):
            await here.engine.answer(at)
        assert [text for (text,) in here.engine.texts[:9]] == [
            "a0", "a1", "a2", "b0", "b1", "b2", "a3", "a4", "a5",
        ]  # fmt: skip


async def test_a_long_document_waits_for_what_was_before_it() -> None:
    async with scene() as here:
        here.commits.done.clear()
        partition = here.own()
        await here.arrive(partition, "before")
        await here.arrive(partition, "long", n_tokens=LONG)
        await here.engine.answer(0)
        assert here.engine.texts == [["before"]]
        here.commits.done.set()
        await settled()
        assert here.engine.texts == [["before"], ["long"]]


async def test_only_the_partition_that_asks_for_a_deployment_that_is_not_there_waits() -> None:
    async with scene() as here:
        one, other = here.own(BULK, 0), here.own(BULK, 1)
        await here.arrive(one, "new", deployment="fresh")
        await here.arrive(one, "behind")
        await here.arrive(other, "free")
        assert here.engine.texts == [["free"]]
        assert here.tables.asked == [{("loans", "fresh")}]
        here.tables.present = table(served(), served("fresh"))
        here.tables.appears.set()
        await settled()
        await here.engine.answer(0)
        assert here.engine.texts[1:] == [["new", "behind"]]


async def test_what_certainly_does_not_exist_is_asked_for_once_for_all_that_wait() -> None:
    async with scene() as here:
        partition = here.own()
        await here.arrive(partition, *"abc", deployment="typo")
        here.tables.appears.set()
        await settled()
        assert here.commits.texts == [list("abc")], "answered without a model"
        assert here.tables.asked == [{("loans", "typo")}]
        await here.arrive(partition, "d", deployment="typo")
        assert len(here.tables.asked) == 2, "it may exist by now"


async def test_who_was_ready_is_answered_though_the_model_was_unloaded_in_the_meantime() -> None:
    tables, engine = Tables(table(served())), Patient()
    asking = Asking(tables, default_tasks={}, engine=engine, metrics=Metrics())
    one = item(DocumentEvent(id="a", text="a", tasks=[Task(project="loans", deployment="production")]))
    asking.look()
    assert asking.ready(one)
    tables.present = ServingTable({("loans", "production"): Parked()}, {"loans": project()}, {})
    question = asking.ask([one], Urgency.BULK)
    await settled()
    assert engine.texts == [["a"]]
    await engine.answer(0)
    assert [len(asked.answerers.served) for asked in await question.asked()] == [1]
    asking.look()
    assert not asking.ready(one), "the next has to wait until it is loaded again"


async def test_a_window_whose_partitions_were_taken_away_is_given_up() -> None:
    async with scene() as here:
        partition = here.own()
        await here.arrive(partition, "long", n_tokens=LONG)
        here.partitions.remove(partition.tp)
        here.reader.arrived()
        await settled()
        assert here.engine.asked[0][2].cancelled()
        assert here.commits.texts == [["stale"]]


async def test_no_more_windows_are_taken_than_may_wait_for_their_commits() -> None:
    async with scene() as here:
        here.commits.done.clear()
        partition = here.own()
        await here.arrive(partition, *"abcdefghijklmnopqrstuvwx")
        for at in range(4):
            await here.engine.answer(at)
        assert len(here.engine.asked) == 4
        here.commits.done.set()
        await settled()
        assert len(here.engine.asked) == 6
