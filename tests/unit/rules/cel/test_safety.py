"""Nothing an expression says reaches the host: payloads of other engines' holes are refused or inert."""

import ast
from pathlib import Path

import pytest

import service.rules.cel as package
from service.rules.cel import Budget, CELError, EvaluationError, compile_expression, to_json
from tests.tables import every_row
from tests.unit.rules.cel.evaluating import MESSAGE

PAYLOADS = [
    # pyjail and Jinja
    "__import__('os').system('id')",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1].__subclasses__()[40]('/etc/passwd').read()",
    "data.__class__.__init__.__globals__",
    "data.items.__class__",
    "[].__class__",
    "{}.__class__.__base__",
    "data.total.__class__",
    "data.currency.__len__()",
    "data.currency.format.__globals__",
    "'{0.__class__}'.format([data])",
    "'%(a)s'.format([data])",
    "'{data.__class__.__init__.__globals__}'",
    "{{7*7}}",
    "{{config.items()}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "{{''.__class__.mro()[2].__subclasses__()}}",
    "self.__init__.__globals__.__builtins__",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "eval('1+1')",
    "exec('import os')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd')",
    "getattr(data, '__class__')",
    "globals()",
    "breakpoint()",
    "lambda: 1",
    "[x for x in (1, 2)]",
    "(lambda x: x)(1)",
    "f'{data}'",
    "print(data)",
    "import os",
    # n8n and other JavaScript sandboxes
    "={{ $json.x.constructor.constructor('return process')() }}",
    "(function(){ return this.process.mainModule.require('child_process').execSync('id') })()",
    "data.constructor.constructor('return this')()",
    "data['constructor']['constructor']('return 1')()",
    "Object.getPrototypeOf(data)",
    "data.__proto__.polluted",
    "[].map.constructor('return 1')()",
    "`${process.env}`",
    "process.env",
    "this.constructor",
    "globalThis",
    "new Function('return 1')()",
    "require('fs')",
    # SpEL, OGNL, EL, templates
    "T(java.lang.Runtime).getRuntime().exec('id')",
    "${T(java.lang.System).getenv()}",
    "#{7*7}",
    "%{(#a=@java.lang.Runtime@getRuntime())}",
    "${jndi:ldap://127.0.0.1/a}",
    "''.getClass().forName('java.lang.Runtime')",
    "<%= 7*7 %>",
    "{{range .}}{{end}}",
    "@(1+2)",
    "a' or '1'='1",
    "'; DROP TABLE x; --",
    "$(id)",
    "`id`",
]

NAMES = ["__class__", "__proto__", "constructor", "prototype", "__init__", "__dict__", "$ref", "", "toString"]


@every_row("payload", PAYLOADS)
def test_payload_is_refused_or_inert(payload: str) -> None:
    try:
        value = compile_expression(payload).evaluate(MESSAGE, Budget())
    except (CELError, EvaluationError):
        return
    # What is left is text that stands for itself, or a key that the message really has.
    assert value == payload.strip("'") or value in ("text", "{0.__class__}")
    to_json(value)


@every_row("name", NAMES)
def test_a_key_with_a_special_name_is_a_key(name: str) -> None:
    program = compile_expression(f"data['{name}']")
    assert program.evaluate({"data": {name: 7}}, Budget()) == 7
    with pytest.raises(EvaluationError, match="no such key"):
        program.evaluate({"data": {}}, Budget())
    for odd in ([], "text", 5, None, True):
        with pytest.raises(EvaluationError):
            program.evaluate({"data": odd}, Budget())


def test_the_package_never_calls_the_interpreter_or_reads_attributes_by_name() -> None:
    banned = {
        "eval",
        "exec",
        "compile",
        "__import__",
        "getattr",
        "setattr",
        "globals",
        "locals",
        "vars",
        "open",
    }
    for path in Path(package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in banned, f"{path.name}:{node.lineno}"
