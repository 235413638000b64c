"""What every parameter group has in common, and how groups side by side share values."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

T = TypeVar("T")

COMMON = "common"
_FLOAT32 = 3.4028234e38


def _distinct(values: list[T]) -> list[T]:
    if twice := [v for v in values if values.count(v) > 1]:
        raise ValueError(f"{twice[0]!r} is listed twice")
    if alike := same_names(v for v in values if isinstance(v, float)):
        raise ValueError(f"{alike[0]!r} and {alike[1]!r} have the same name in results, {alike[0]:g}")
    return values


def same_names(values: Iterable[float]) -> tuple[float, float] | None:
    """Two different numbers that names of results, which have six digits, do not tell apart."""
    named: dict[str, float] = {}
    return next(((first, v) for v in values if (first := named.setdefault(f"{v:g}", v)) != v), None)


Distinct = Annotated[list[T], AfterValidator(_distinct)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what numpy and torch both take
Seeds = Annotated[Distinct[Seed], Field(min_length=1)]
Width = Annotated[int, Field(ge=1)]  # channels of a layer


class Group(BaseModel):
    """A parameter group: unknown keys are errors, values are fixed, numbers are finite, and no kind stands for another."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _reject_other_kinds(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic takes true for 1, 1 for true, and texts for either."""
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        known = {kind if isinstance(kind, type) else type(kind) for kind in kinds}  # of a Literal the values
        given = set(map(type, _given(value)))
        if known & {int, float} and ((bool in given - known) or (str in given - known)):
            raise ValueError("a number is needed")
        if bool in known and given & {int, float, str} - known:
            raise ValueError("true or false is needed")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _reject_what_nothing_holds(cls, value: Any) -> Any:
        for number in _given(value):
            if isinstance(number, str) and number.isspace():
                raise ValueError("Input should hold more than spaces")
            if isinstance(number, int) and not -(2**63) <= number < 2**63:
                raise ValueError(f"Input should be less than {2**63}, which int64 cannot hold")
            if isinstance(number, float) and abs(number) > _FLOAT32:
                raise ValueError(f"Input should be at most {_FLOAT32}, the most that float32 holds")
        return value

    def __getitem__(self, name: str) -> Any:
        """A value by its name, for the stages of a matrix: `params.ddpm[setting]`."""
        return getattr(self, name)


class Family(Group):
    """Groups side by side: what one of them does not give, it takes from `common` beside them."""

    @model_validator(mode="before")
    @classmethod
    def _share(cls, values: Any) -> Any:
        return share(values, cls.groups())

    @classmethod
    def groups(cls) -> dict[str, type[Group]]:
        """The members that take values from `common`."""
        return {name: model for name, field in cls.model_fields.items() if (model := _group(field.annotation))}


def share(values: Any, models: Mapping[str, type[Group]]) -> Any:
    """The groups in `values`, each with what it takes from `common`, which is left out.

    Args:
        models: the model of each group; a group takes only keys that its model has.

    Raises:
        ValueError: `common` gives a key that no group has.
    """
    if not isinstance(values, Mapping) or not isinstance(common := values.get(COMMON), Mapping):
        return values
    taken: set[str] = set()
    groups = {name: _filled(model, values.get(name, {}), common, taken) for name, model in models.items()}
    if unknown := dotted(common).keys() - taken:
        raise ValueError(f"'{COMMON}.{min(unknown)}' is a parameter of none of the groups beside it")
    return {name: value for name, value in values.items() if name != COMMON} | groups


def _filled(model: type[Group], own: Any, common: Mapping[str, Any], taken: set[str], path: str = "") -> Any:
    """A group's own values and what it takes from `common`; the dotted names of those go into `taken`."""
    if not _mappings(own):  # null, or a mistake that the model will name
        return own
    if issubclass(model, Family):  # its members take what its own `common` does not give either
        members = model.groups()
        own = share(own, members)
        return own | {n: _filled(m, own.get(n, {}), common, taken, path) for n, m in members.items()}
    filled = dict(own)
    for name in common.keys() & model.model_fields.keys():
        inner = _group(model.model_fields[name].annotation)
        if inner and _mappings(common[name]):
            filled[name] = _filled(inner, own.get(name, {}), common[name], taken, f"{path}{name}.")
        else:
            taken.add(path + name)
            filled.setdefault(name, common[name])
    return filled


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their dotted names: `finetune.lora.rank`."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return result


def _kinds(annotation: Any) -> list[Any]:
    """An annotation and all that stands within its brackets."""
    return [annotation, *(kind for inner in get_args(annotation) for kind in _kinds(inner))]


def _given(value: Any) -> list[Any]:
    """The values that stand in a value, at any depth."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return [inner for part in value for inner in _given(part)] if isinstance(value, list | tuple) else [value]


def _mappings(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _group(annotation: Any) -> type[Group] | None:
    """The group that a field holds, where it may be null too."""
    kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, Group)), None)
