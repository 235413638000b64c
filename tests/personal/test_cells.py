"""Which trainings the few-image study consists of."""

from difflab.personal.cells import Cell, picture_cells, steps_are_measured, table_cells


def test_every_method_has_every_prior_but_for_one_that_no_prior_changes(params):
    cells = table_cells(params(methods=["lora", "textual_inversion"], priors=["none", "images", "output"]))
    assert [cell.name for cell in cells] == ["lora_none", "lora_images", "lora_output", "textual_inversion_none"]
    assert {cell.pictures for cell in cells} == {4}


def test_textual_inversion_stands_also_where_no_prior_is_left_out(params):
    assert table_cells(params(methods=["textual_inversion"], priors=["images"], curve_method="textual_inversion")) == [
        Cell("textual_inversion", "none", 4)
    ]


def test_the_curve_has_every_number_of_pictures_but_the_tables(params):
    changes = {"pictures": [9, 3, 5], "curve_method": "lora"}
    assert picture_cells(params(**changes)) == [Cell("lora", "none", 3), Cell("lora", "none", 5)]
    assert [c for c in table_cells(params(**changes)) if steps_are_measured(c, params(**changes))] == [
        Cell("lora", "none", 9)
    ]
