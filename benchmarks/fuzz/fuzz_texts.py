"""Odd texts, paths, numbers and names: what a fuzzer puts where something else is expected."""

FOREIGN = ("poison:Poison", "poison.deep:Poison", "this:s", "xmlrpc.server:SimpleXMLRPCServer", "nowhere.at.all:Thing")
"""`module:Class` that is no component. `poison` is on the path; `this` and `xmlrpc.server` come with Python."""

CONTROLS = ("\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\rb", "\x08\x08", "\u202egnp.exe", "\u2066x", "a\x7f")
TEXTS = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "a\nb",
        "\udcff",
        "\u00e9",
        "\u65e5\u672c\u8a9e",
        "\U0001f642",
        "a\u0301\u0301",
        "\ufeffmlp",
    ),
    *CONTROLS,
    *(
        "[bold red]x[/]",
        "[/]",
        "[/bold]",
        "[link=file:///x]y[/link]",
        "\\[",
        ":smile:",
        "%s%n",
        "{0}",
        "{x!r}",
        "\\N{x}",
    ),
    *("$(touch pwned)", "`touch pwned`", "; touch pwned", "a b", "'", '"', "'\"", "\\", "*", "|cat", "&", "~", "!!"),
    *("--", "-", "-1", "--help", "--json", "=", "a=b=c", "name=mlp", "(", ")", "hopfield(", "hopfield()", "csb(a=1,,)"),
    *("x" * 300, "x" * 5000, "[" * 3000, "{" * 3000, "0" * 5000, "1_0" * 2000, "a.b" * 3000, "\u2028" * 50),
    *("nan", "none", "null", "true", "0", "1e999", "\u0663", "\uff11", "1_000", "0x10", "1979-05-27", "eb-models:mlp"),
    *("eb-models:", ":", "::", "a:b:c", "..", "__main__:app", "MNIST", "./mine.csv", "C-EP", *FOREIGN),
)
PATHS = (
    *(
        "../data/tiny.npz",
        "../data/tiny.csv",
        "../data/images.npz",
        "../data/empty",
        "../data/noise",
        "../data/text.toml",
    ),
    *(
        "../data/fifo",
        "../data",
        "../data/folder",
        "../data/loop",
        "../data/dangling",
        "../data/sealed",
        "../data/shut",
    ),
    *(
        "../data/shut/inside.toml",
        "../data/fifo.toml",
        "../data/loop.toml",
        "../data/folder.toml",
        "../data/sealed.toml",
    ),
    *("../data/tiny.npz/x.toml", "missing", "missing.toml", "missing/x.png", "a.png", "a.svg", "a.gif", "a/", ".", ""),
    *("../data/fifo.png", "../data/loop.png", "../data/folder.png", "../data/endless.toml", "../data/full", "a/b/c"),
    *("~nosuch/x.toml", "~nosuch", "~", "x" * 300 + ".toml", "x/" * 3000 + "x.toml", "\udcff.toml", "\x1b[2J.toml"),
    *("../runs/finished", "../runs/stopped", "../runs/other", "../runs", "../data/noise.toml", "..", "../data/endless"),
)
"""Seen from the folder that the command runs in. None leaves the scene: what root runs writes where it is told."""
NUMBERS = (
    *("0", "-0.0", "-1", "1", "2", "1e-15", "5e-324", "1e15", "1e300", "-1e300", "1.7976931348623157e308", "1e39"),
    *("nan", "inf", "-inf", "2147483648", "9223372036854775807", "9223372036854775808", "100000", "1000000000000"),
    *(
        "1" + "0" * 400,
        "1" + "0" * 5000,
        "0.9999999999999999",
        "1.0000000000000002",
        "0.5",
        ".5",
        "1.",
        "1e3",
        "00",
        "+1",
    ),
)
OTHER_TYPES = (
    "true",
    "false",
    '"text"',
    "[]",
    "[1, 2]",
    '["a"]',
    "{a = 1}",
    "{}",
    "1979-05-27T07:32:00Z",
    "text",
    "[[1]]",
)
