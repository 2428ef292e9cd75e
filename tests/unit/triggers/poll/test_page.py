"""The pages on polls and schedules say what the models say, and their examples are good."""

from service.config.load import read_text
from service.config.shape import wire_fields
from tests.shared import ROOT
from tests.tables import every_row
from triggers.poll import PollConfig
from triggers.schedule import ScheduleConfig

PAGES = {"poll": PollConfig, "schedule": ScheduleConfig}


@every_row("kind", PAGES)
def test_every_field_is_in_the_table(kind):
    page = (ROOT / f"docs/sources/{kind}.md").read_text("utf-8")
    for field in set(wire_fields(PAGES[kind])) - {"kind"}:
        assert f"| `{field}` |" in page, field


@every_row("kind", PAGES)
def test_the_example_is_good(kind):
    page = (ROOT / f"docs/sources/{kind}.md").read_text("utf-8")
    read = read_text(page.split("```yaml\n")[1].partition("```")[0], "page")
    assert read.problems == []
    assert read.root is not None
    for source in read.root.value["sources"].values():
        assert PAGES[kind].model_validate(source).kind == kind
