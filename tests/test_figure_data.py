"""The numbers of a figure as CSV: every point that is drawn, and nothing that is not."""

import csv

import matplotlib.pyplot as plt
import numpy as np
import pytest

from errref.figures.data import csv_of


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def parsed(figure):
    """The comment lines, and the points as lists of numbers by mark."""
    lines = csv_of(figure).splitlines()
    comments = [line[2:] for line in lines if line.startswith("# ")]
    marks = {}
    for mark, *point in list(csv.reader(line for line in lines if not line.startswith("#")))[1:]:
        marks.setdefault(int(mark), []).append([float(number) for number in point])
    return comments, marks


def test_lines_and_dots_are_given_point_by_point(ax):
    ax.plot([1, 2], [30, 40], color="#0072B2", label="general")
    ax.scatter([5, 6], [7, 8], color="#D55E00")
    comments, marks = parsed(ax.figure)
    assert marks == {1: [[1, 30], [2, 40]], 2: [[5, 7], [6, 8]]}
    assert comments == ["mark 1: panel 1, line, #0072b2, general", "mark 2: panel 1, dots, #d55e00"]


def test_bars_steps_and_areas_are_given_by_their_corners(ax):
    ax.bar([1], [5], width=2)
    ax.barh([3], [-4], height=1, left=10)
    ax.stairs([2, 3], [0, 1, 4])
    ax.fill_between([0, 1], [0, 0], [1, 2])
    comments, marks = parsed(ax.figure)
    kinds = {line.split(", ")[1]: marks[number] for number, line in enumerate(comments, start=1)}
    assert kinds["steps"] == [[0, 2], [1, 3], [4, 3]]
    assert [marks[k] for k, line in enumerate(comments, 1) if ", bar" in line] == [
        [[0, 0], [2, 5]],
        [[10, 2.5], [6, 3.5]],
    ]
    assert [0, 1] in kinds["area"] and [1, 2] in kinds["area"] and [1, 0] in kinds["area"]


@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_the_cells_of_a_map_stand_where_they_are_drawn(ax, origin):
    values = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]])
    ax.imshow(values, origin=origin, extent=(0, 6, 10, 14) if origin == "lower" else (0, 6, 14, 10))
    _, marks = parsed(ax.figure)
    points = {(x, y): value for x, y, value in marks[1]}
    assert points[1, 11] == 1 and points[5, 13] == 6 and np.isnan(points[3, 13]) and len(points) == 6
    assert csv_of(ax.figure).count("mark,x,y,value") == 1


def test_cells_of_a_plain_map_stand_at_their_numbers(ax):
    ax.imshow([[1.0, 2.0], [3.0, 4.0]])
    assert parsed(ax.figure)[1][1] == [[0, 0, 1], [1, 0, 2], [0, 1, 3], [1, 1, 4]]


def test_what_belongs_to_the_axes_is_left_out(ax):
    ax.plot([0], [1])
    ax.axhline(3), ax.axvline(4), ax.axvspan(0, 1)
    ax.plot([0.5, 0.5], [0, 1], transform=ax.transAxes)
    ax.plot([], [], label="empty")
    ax.figure.colorbar(plt.cm.ScalarMappable(), ax=ax)
    assert parsed(ax.figure)[1] == {1: [[0, 1]]}


def test_axes_are_told_with_what_their_ticks_stand_for(ax):
    ax.plot([0, 1], [0, 1])
    ax.set_xticks([0, 1], ["linear", "jump-\nlinear"])
    ax.set_yticks([0, 1])
    ax.set_ylabel("mean\nsquared error")
    comments, _ = parsed(ax.figure)
    assert comments[0] == "panel 1: x is 0 = linear, 1 = jump- linear; y is mean squared error"


def test_panels_are_numbered_and_six_digits_are_kept():
    figure, axes = plt.subplots(1, 2)
    axes[0].plot([1 / 3], [1e-12])
    axes[1].errorbar([1], [2], yerr=[0.5])
    comments, marks = parsed(figure)
    plt.close(figure)
    assert marks[1] == [[0.333333, 1e-12]]
    assert (
        sum("panel 2" in line for line in comments) == len(marks) - 1 and [1, 1.5] in marks[3] and [1, 2.5] in marks[3]
    )


def test_a_notebook_keeps_the_numbers_beside_the_picture():
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        with plt.rc_context():
            from errref.figures import use_style

            use_style()
            figure, ax = plt.subplots()
            ax.plot([1, 2], [3, 4])
            forms, _ = shell.display_formatter.format(figure)
            plt.close(figure)
            assert forms["text/csv"].endswith("mark,x,y\n1,1,3\n1,2,4\n")
    finally:
        InteractiveShell.clear_instance()
