"""PowerShell scripts read by a real grammar, and held to what PowerShell 2.0 knows. No Windows is needed, or here.

What 2.0 knows is a list of what our scripts may use, not of what they may not: whatever stands in no list is an error,
so that nothing newer slips in. Sources: the help of Windows PowerShell 2.0 (October 2009: its `about_` topics for the
language, `Get-Help CMDLET -Full` for parameters), and the class library of .NET Framework 2.0 (2005), the oldest that
it runs on. Not seen by it: a property read of all members of an array at once, which is of 3.0.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import tree_sitter
import tree_sitter_c_sharp
import tree_sitter_powershell
from tree_sitter import Node

#: Cmdlets of 2.0 with those of their parameters that were there.
CMDLETS = {
    "get-date": {"-format"},
    "get-item": {"-path", "-literalpath", "-force"},
    "join-path": {"-path", "-childpath"},
    "new-item": {"-path", "-itemtype", "-force"},
    "new-object": {"-typename", "-argumentlist"},
    "out-null": set(),
    "remove-item": {"-path", "-literalpath", "-recurse", "-force"},
    "start-process": {"-filepath", "-argumentlist", "-wait", "-passthru"},
    "start-sleep": {"-seconds"},
    "start-transcript": {"-path", "-append"},
    "stop-transcript": set(),
    "test-path": {"-path", "-literalpath"},
    "write-host": set(),
}
COMMON_PARAMETERS = {"-erroraction", "-errorvariable", "-verbose"}
#: about_Operators, about_Comparison_Operators, about_Type_Operators, about_Logical_Operators of 2.0.
OPERATORS = {
    "-eq", "-ne", "-gt", "-ge", "-lt", "-le", "-like", "-notlike", "-match", "-notmatch", "-contains", "-notcontains",
    "-replace", "-split", "-join", "-is", "-isnot", "-as", "-f", "-and", "-or", "-xor", "-not", "-band", "-bor",
    "-bxor", "-bnot", "!", "+", "-", "*", "/", "%", "=", "+=", "-=", "++", "--", "|", "&", ",", "..",
}  # fmt: skip
#: Types of .NET Framework 2.0, and PowerShell's own names for some.
TYPES = {
    "int", "string", "char", "bitconverter", "guid", "io.file", "net.webclient",
    "security.cryptography.sha256managed", "security.principal.windowsbuiltinrole",
    "security.principal.windowsidentity", "security.principal.windowsprincipal",
}  # fmt: skip
#: Their members, those of `System.Diagnostics.Process`, of `ErrorRecord` and of `FileInfo`.
MEMBERS = {
    "administrator", "close", "computehash", "downloadfile", "exception", "exitcode", "getcurrent", "isinrole",
    "length", "message", "openread", "replace", "split", "tolower", "tostring",
}  # fmt: skip
#: about_Automatic_Variables of 2.0, as far as they are used.
AUTOMATIC = {"$_", "$true", "$false", "$null", "$lastexitcode", "$erroractionpreference", "$args"}
#: The grammar's names for parts of the language that 2.0 has.
NODES = {
    "additive_argument_expression", "additive_expression", "argument_expression", "argument_expression_list",
    "argument_list", "array_expression", "array_literal_expression", "array_type_name", "assignement_operator",
    "assignment_expression", "attribute", "attribute_list", "bitwise_argument_expression", "bitwise_expression",
    "cast_expression",
    "catch_clause", "catch_clauses", "command", "command_argument_sep", "command_elements", "command_name",
    "command_name_expr", "command_invokation_operator", "command_parameter", "comment",
    "comparison_argument_expression",
    "comparison_expression",
    "comparison_operator", "decimal_integer_literal", "else_clause", "empty_statement", "expandable_string_literal",
    "expression_with_unary_operator", "flow_control_statement", "for_condition", "for_initializer", "for_iterator",
    "for_statement", "foreach_statement", "format_argument_expression", "format_expression", "format_operator",
    "function_name", "function_parameter_declaration", "function_statement", "generic_token", "if_statement",
    "integer_literal", "invokation_expression", "left_assignment_expression", "logical_argument_expression",
    "logical_expression", "member_access", "member_name", "multiplicative_argument_expression",
    "multiplicative_expression", "parameter_list", "parenthesized_expression", "path_command_name", "pipeline",
    "pipeline_chain", "post_increment_expression", "program", "range_argument_expression", "range_expression",
    "script_block", "script_block_body", "script_parameter", "simple_name", "statement_block", "statement_list",
    "string_literal", "sub_expression", "try_statement", "type_identifier", "type_literal", "type_name", "type_spec",
    "unary_expression", "variable", "verbatim_string_characters",
}  # fmt: skip


@functools.cache
def _parser(language: str) -> tree_sitter.Parser:
    grammar = tree_sitter_powershell if language == "powershell" else tree_sitter_c_sharp
    return tree_sitter.Parser(tree_sitter.Language(grammar.language()))


def parse(source: str, language: str = "powershell") -> Node:
    return _parser(language).parse(source.encode()).root_node


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    return (node.text or b"").decode()


def problems(source: str, language: str = "powershell") -> list[str]:
    """What the grammar does not understand, with its line; nothing where it is a whole program."""
    return [
        f"line {node.start_point[0] + 1}: {node.type} {text(node)[:60]!r}"
        for node in walk(parse(source, language))
        if node.type == "ERROR" or node.is_missing
    ]


def literal(source: str, name: str) -> str:
    """The text that a variable is set to by a literal at the head of a script; AssertionError for anything else."""
    for node in walk(parse(source)):
        if node.type == "assignment_expression" and text(node.children[0]).strip() == f"${name}":
            return _evaluated(node.children[-1])
    raise AssertionError(f"${name} is not set")


def _evaluated(node: Node) -> str:
    """Texts in single quotes and numbered characters, joined by +; nothing else is a literal."""
    units: list[int] = []
    for leaf in walk(node):
        if leaf.type == "verbatim_string_characters":
            units += _units(text(leaf)[1:-1].replace("''", "'"))
        elif leaf.type == "cast_expression":
            kind, number = (text(child) for child in leaf.named_children)
            assert kind == "[char]", kind
            units.append(int(number))
        elif not leaf.named_children and leaf.type not in _GLUE:
            raise AssertionError(f"{leaf.type} {text(leaf)!r} is no part of a literal")
    return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le", "surrogatepass")


_GLUE = {"+", "(", ")", "type_identifier", "decimal_integer_literal", "[", "]"}


def _units(value: str) -> list[int]:
    data = value.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]


def newer_than_2(source: str) -> list[str]:
    """Everything in a script that PowerShell 2.0 on .NET 2.0 may not know, with its line."""
    root = parse(source)
    own = {text(node).lower() for node in walk(root) if node.type == "function_name"}
    found: list[str] = []
    for node in walk(root):
        why = _too_new(node, own)
        if why:
            found.append(f"line {node.start_point[0] + 1}: {why}: {text(node)[:60]!r}")
    return found


def _too_new(node: Node, own: set[str]) -> str:
    said = text(node).lower().strip()
    if node.is_named and node.type not in NODES:
        return f"a part of the language that is not listed ({node.type})"
    match node.type:
        case "comment":
            wanted = re.match(r"#requires\s+-version\s+(\S+)", said)
            return "wants a newer PowerShell" if wanted and float(wanted[1]) > 2 else ""
        case "command_name":
            return "" if said in CMDLETS or said in own else "no cmdlet of 2.0"
        case "command_parameter":
            return _parameter(node, said, own)
        case "comparison_operator" | "format_operator" | "assignement_operator":
            return "" if said in OPERATORS else "no operator of 2.0"
        case "type_spec":
            return "" if said.removesuffix("[]") in TYPES else "no type of .NET 2.0 that is listed"
        case "simple_name" if node.parent is not None and node.parent.type == "member_name":
            return "" if said in MEMBERS else "no member of .NET 2.0 that is listed"
        case "variable":
            return _variable(said)
        case "generic_token":
            return _token(node, said)
    if not node.is_named and node.type in ("&&", "||", "??", "?.", "??="):
        return "no operator of 2.0"
    return ""


def _parameter(node: Node, said: str, own: set[str]) -> str:
    command = node.parent
    while command is not None and command.type != "command":
        command = command.parent
    name = text(command.children[0]).lower() if command is not None else ""
    if name in own or said in CMDLETS.get(name, set()) | COMMON_PARAMETERS:
        return ""
    return f"no parameter of {name} in 2.0"


def _variable(said: str) -> str:
    if said.startswith(("$ps", "$using:", "@ps")):
        return "a variable that is not of 2.0"
    return ""


def _token(node: Node, said: str) -> str:
    """A bare word: a type after New-Object, else a value."""
    command = node.parent.parent if node.parent is not None else None
    if command is not None and text(command.children[0]).lower() == "new-object":
        return "" if said in TYPES else "no type of .NET 2.0 that is listed"
    return ""
