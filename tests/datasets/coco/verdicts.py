"""What is found in a file's content, as a user sees it."""

from mmrbdc.datasets.coco import judge, read_coco
from tests.datasets.coco.small_coco import write


def judged(folder, content, masks=True, **how):
    return judge(read_coco(write(folder, content)), masks, **how)


def the_error(folder, content, masks=True):
    """The one error, as a user sees it."""
    errors = judged(folder, content, masks).errors
    assert len(errors) == 1, [str(error) for error in errors]
    message = str(errors[0])
    assert message.startswith(f"'{folder / 'annotations.json'}': ") and "\n" not in message
    return message
