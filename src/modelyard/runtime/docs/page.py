"""The page about one model: whole in itself, nothing is loaded from elsewhere. Pure."""

import json
from collections.abc import Sequence
from html import escape
from string import Template

from modelyard.runtime.docs import curl
from modelyard.runtime.docs.subject import Subject
from modelyard.wire.oip import example
from modelyard.wire.oip.nouns import TensorMetadata

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$name</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; overflow-wrap: anywhere; } h2 { margin-top: 2rem; }
.quiet { color: var(--quiet); } .note { border-left: 3px solid; padding-left: .8rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th:first-child { width: 50%; } th { text-align: left; font-weight: 600; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
code, pre, textarea { font: 14px/1.45 ui-monospace, monospace; }
pre, textarea { background: var(--soft); border: 1px solid var(--line); border-radius: 4px; padding: .8rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
textarea { width: 100%; box-sizing: border-box; color: inherit; }
button { font: inherit; padding: .2rem .9rem; margin: .5rem 0; }
</style>
</head>
<body>
<h1>$name</h1>
<p class="quiet">$platform, version $version · <a href="$json">OpenAPI</a></p>
$note
<h2>Inputs</h2>
$inputs
<h2>Outputs</h2>
$outputs
<h2>Ask it</h2>
<p>$values</p>
<pre id="curl">$curl</pre>
$form
<p class="quiet">It speaks the Open Inference Protocol V2: REST as above, and gRPC by
<code>inference.GRPCInferenceService</code> with the model name <code>$name</code>.</p>
</body>
</html>
""")

_FORM = Template("""<p>Or send it from here.</p>
<textarea id="request" rows="$rows" spellcheck="false" aria-label="request">$request</textarea>
<button id="send">Send</button>
<pre id="answer" hidden></pre>
<script>
document.getElementById("send").onclick = async () => {
  const answer = document.getElementById("answer");
  answer.hidden = false;
  answer.textContent = "…";
  try {
    const got = await fetch($infer, {
      method: "POST",
      headers: {"content-type": "application/json"},
      body: document.getElementById("request").value,
    });
    const text = await got.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch {}
    answer.textContent = (got.ok ? "" : got.status + " ") + shown;
  } catch (error) {
    answer.textContent = String(error);
  }
};
</script>""")


_VALUES = (
    "Paste this into a shell. The values are an example of what the model takes, or zeros and empty texts where it "
    "does not tell; they are to be replaced by yours."
)
_GUESS = "Paste this into a shell, with the tensors that the model takes: it does not say which."


def page(it: Subject) -> str:
    signature = it.signature
    return _PAGE.substitute(
        name=escape(it.name),
        platform=escape(signature.platform),
        version=escape(it.version or "1"),
        note=f'<p class="note">{escape(it.note)}</p>' if it.note else "",
        json=escape(f"{it.path}/docs/openapi.json"),
        inputs=_table(signature.inputs),
        outputs=_table(signature.outputs, signature.usual),
        values=_VALUES if signature.inputs else _GUESS,
        curl=escape(curl.infer(it)),
        form="" if example.is_long(signature.inputs) else _form(it),
    )


def _form(it: Subject) -> str:
    tensors = example.request(it.signature.inputs, it.example)["inputs"]
    lines = ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in tensors)
    request = f'{{"inputs": [\n  {lines}\n]}}'
    # The path is quoted, so that nothing in it ends the script.
    return _FORM.substitute(rows=len(tensors) + 3, request=escape(request), infer=json.dumps(f"{it.path}/infer"))


def _table(tensors: Sequence[TensorMetadata], usual: Sequence[str] | None = None) -> str:
    """`usual`: of outputs, those that a request gets that names none."""
    if not tensors:
        return f"<p>{'It takes what its code takes.' if usual is None else 'They show in its answers.'}</p>"
    rows = []
    for it in tensors:
        asked = "" if usual is None or it.name in usual else ' <span class="quiet">when asked for</span>'
        shape = " × ".join("any" if size < 0 else str(size) for size in it.shape) or "any"
        rows.append(f"<tr><td><code>{escape(it.name)}</code>{asked}</td><td>{it.datatype}</td><td>{shape}</td></tr>")
    return f"<table><tr><th>Name</th><th>Datatype</th><th>Shape</th></tr>{''.join(rows)}</table>"
