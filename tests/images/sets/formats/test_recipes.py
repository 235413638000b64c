"""Recipes: a title for each image, in the order of the csv; a wrong row is named as a spreadsheet counts it."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_archive
from difflab.images.sets.formats import recipes
from difflab.images.sets.formats.rows import Captioned
from fakes.face_archives import write_members
from fakes.set_archives import RECIPES, recipe_members, write_folder

TITLES = {"miso-salmon": "Miso  Salmon\n with Rice ", "pizza": '"Pizza", Sandwiches'}


@pytest.mark.parametrize("write", [write_members, write_folder])
@pytest.mark.parametrize("top", ["", "archive/"])
def test_recipes_come_in_the_order_of_the_csv_with_one_clean_title(tmp_path, write, top):
    members = {top + name: content for name, content in recipe_members(TITLES).items()}
    archive = open_archive(write(tmp_path / "recipes", members))
    assert recipes.read(archive) == {
        "train": [
            Captioned(0, f"{top}Food Images/miso-salmon.jpg", ("Miso Salmon with Rice",)),
            Captioned(1, f"{top}Food Images/pizza.jpg", ('"Pizza", Sandwiches',)),
        ]
    }


def test_a_folder_of_images_inside_one_of_the_same_name_is_found(tmp_path):
    """Kaggle packs them so."""
    members = recipe_members(TITLES)
    moved = {name.replace("Food Images/", "Food Images/Food Images/"): c for name, c in members.items()}
    archive = open_archive(write_members(tmp_path / "r.zip", moved | {f"__MACOSX/{RECIPES}": b"?"}))
    files = [image.file for image in recipes.read(archive)["train"]]
    assert files == ["Food Images/Food Images/miso-salmon.jpg", "Food Images/Food Images/pizza.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_other_columns_their_order_and_blank_lines_do_not_matter(tmp_path, encoding):
    text = "Image_Name,Title\n\ncrème,Crème brûlée\n\n"
    folder = write_folder(tmp_path / "r", {"mine.csv": text.encode(encoding)})
    found = recipes.read(open_archive(folder))
    assert found == {"train": [Captioned(0, "Food Images/crème.jpg", ("Crème brûlée",))]}


OFFICIAL = [
    ("pizza", "Pizza"), ("#NAME?", "-30 Degree Cocktail"), ("soup", ""), ("cake", "Cake"), ("", "Pie"), ("tea", "nan"),
    ("#NAME?", ""), *((f"dish-{n}", f"Dish {n}") for n in range(4)),
]  # fmt: skip


def test_rows_without_title_or_image_are_dropped_and_counted_and_the_others_keep_their_numbers(tmp_path, capsys):
    """As the official csv has them: a spreadsheet read names that begin with a minus as formulas."""
    archive = open_archive(write_members(tmp_path / "r.zip", recipe_members(OFFICIAL)))
    dropped = {}
    images = recipes.read(archive, dropped)["train"]
    assert [image.number for image in images] == [0, 3, 7, 8, 9, 10]
    assert [image.captions[0] for image in images[:3]] == ["Pizza", "Cake", "Dish 0"]
    assert dropped == {"untitled": 3, "unnamed": 2}
    said = capsys.readouterr().out.splitlines()
    assert [line.removeprefix(f"{tmp_path / 'r.zip'}: {RECIPES}: ") for line in said] == [
        "3 of 11 rows have no Title (row 4, 7, 8) and are left out",
        "2 of 11 rows have no Image_Name (row 3, 6) and are left out",
    ]


@given(st.lists(st.tuples(st.sampled_from(["a", "", "#NAME?"]), st.sampled_from(["Cake", "", "nan", " "])), max_size=9))
def test_every_row_is_kept_or_counted_once(rows):
    rows = [(f"{image}-{n}" if image == "a" else image, title) for n, (image, title) in enumerate(rows)]
    rows += [(f"more-{n}", "Tea") for n in range(len(rows) + 1)]
    dropped = {}
    with TemporaryDirectory() as folder:
        images = recipes.read(open_archive(write_members(Path(folder) / "r.zip", recipe_members(rows))), dropped)[
            "train"
        ]
    assert len(images) + sum(dropped.values()) == len(rows)
    assert all(rows[image.number][1].strip() in image.captions for image in images)


def refused(tmp_path, content, message):
    path = write_members(tmp_path / "recipes.zip", {RECIPES: content})
    with pytest.raises(DifflabError, match=message) as error:
        recipes.read(open_archive(path))
    assert f"{path}: {RECIPES}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Title,Ingredients", "no column Image_Name, only Title, Ingredients: is it the csv of recipes"),
        ("Image_Name,title", "no column Title, only Image_Name, title"),
        ("a;b", "no column Image_Name and no column Title, only a;b"),
        ("", "no column Image_Name and no column Title, only none"),
    ],
)
def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path, header, message):
    refused(tmp_path, f"{header}\n1,2\n" if header else "", f"has {message}")


@pytest.mark.parametrize("title", ["", "nan", "NaN", " \n ", "???", "\U0001f355\U0001f355", "\u200b"])
def test_a_csv_of_which_half_has_no_title_is_refused(tmp_path, title):
    rows = [("a", "Cake"), ("b", title), ("c", "Pie"), ("d", title)]
    refused(
        tmp_path, recipe_members(rows)[RECIPES], r"2 of 4 rows have no Title \(row 3, 5\): write it, or remove them"
    )


def test_a_text_is_no_title(tmp_path):
    rows = [("a", "Coffee"), ("b", "Tea " * 300)]
    refused(tmp_path, recipe_members(rows)[RECIPES], r"the Title of row 3 has more than 1,000 characters")


def test_at_most_ten_rows_are_named(tmp_path):
    rows = [(f"image-{n}", "") for n in range(30)]
    refused(tmp_path, recipe_members(rows)[RECIPES], r"30 of 30 .*\(row 2, 3, 4, .*, 11, \.\.\.\)")


def test_two_rows_about_one_image_are_named(tmp_path):
    rows = [("cake", "Cake"), ("pie", "Pie"), ("cake", "Tart")]
    refused(tmp_path, recipe_members(rows)[RECIPES], "rows 2 and 4 have the same Image_Name 'cake'; correct")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Image_Name,Title\na,Cake\nb\n", "row 3: 1 values for 2 columns"),
        ("Image_Name,Title\na,Cake, of rice\n", "row 2: 3 values for 2 columns"),
        ('Image_Name,Title\na,"Cake', r"is not a csv \(.*\): fetch it again"),
        (b"Image_Name,Title\na,Caf\xe9\n", "not UTF-8 text; save it as such"),
        (b"\x50\x4b\x03\x04\xff\xfe", "not UTF-8 text"),
    ],
)
def test_what_is_not_a_csv_of_equal_rows_is_named(tmp_path, content, message):
    refused(tmp_path, content, message)


def test_there_must_be_one_csv(tmp_path):
    write_folder(tmp_path / "r", {"Food Images/a.jpg": b"?"})
    with pytest.raises(DifflabError, match="has no csv of recipes: put it beside Food Images"):
        recipes.read(open_archive(tmp_path / "r"))
    write_folder(tmp_path / "r", {"a.csv": b"", "b.csv": b""})
    with pytest.raises(DifflabError, match="has 2 csv files: keep one"):
        recipes.read(open_archive(tmp_path / "r"))


def test_the_real_csv(data_root):
    """Every title of it is read, long cells and all, but for two rows without an image; the images are not there."""
    folder = data_root / "recipes"
    if not folder.is_dir():
        pytest.skip("the real csv of recipes is absent: put it into the data root as recipes/")
    archive = open_archive(folder)
    images = recipes.read(archive)["train"]
    rows = csv.DictReader(io.StringIO(archive.read(RECIPES).decode(), newline=""))
    rows = [row for row in rows if row["Image_Name"] != "#NAME?"]
    assert [image.captions for image in images] == [(" ".join(row["Title"].split()),) for row in rows]
    assert images[0].file == "Food Images/crispy-salt-and-pepper-potatoes-dan-kluger.jpg"
    assert len(images) == len({image.number for image in images}) > 2000
