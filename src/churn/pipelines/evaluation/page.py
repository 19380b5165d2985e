"""The frame and the style of the evaluation page."""

from string import Template

STYLE = """
:root { --ink: #1e293b; --soft: #64748b; --line: #e2e8f0; --good: #166534; --bad: #b91c1c; --open: #92400e; }
* { box-sizing: border-box; }
body { margin: 0; background: #f8fafc; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 24px 60px; }
header, section { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 20px 24px; margin-bottom: 18px; }
header { border-left: 8px solid var(--soft); }
header.good { border-left-color: var(--good); }
header.bad { border-left-color: var(--bad); }
header.open { border-left-color: var(--open); }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 18px; margin: 0 0 6px; } header p { margin: 6px 0 0; font-size: 16px; }
p, small, figcaption { color: var(--soft); } header p.reason { color: var(--ink); } section > p { margin: 0 0 10px; max-width: 90ch; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin-bottom: 18px; }
.card { background: white; border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; display: flex; flex-direction: column; }
.card span { color: var(--soft); font-size: 13px; } .card b { font-size: 24px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 6px 0 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-size: 13px; font-weight: 600; white-space: nowrap; }
th { border-bottom: 2px solid var(--line); padding: 6px 10px 6px 0; }
td { border-bottom: 1px solid var(--line); padding: 5px 10px 5px 0; vertical-align: top; }
td:has(.badge) { white-space: nowrap; } td b { font-weight: 600; }
table.even { table-layout: fixed; min-width: 700px; } table.even th:first-child { width: 30%; }
small { font-size: 12.5px; white-space: nowrap; }
.badge { border-radius: 99px; padding: 1px 10px; font-size: 12.5px; white-space: nowrap; background: #f1f5f9; color: var(--soft); }
.badge.good { background: #dcfce7; color: var(--good); } .badge.bad { background: #fee2e2; color: var(--bad); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 18px; }
figure { margin: 0; text-align: center; } figure img { max-width: 100%; max-height: 480px; } .shap_summary { grid-column: 1 / -1; }
.shap_summary img { max-height: none; width: 860px; } figcaption { font-size: 12.5px; }
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation of version $version: $headline</title><style>$style</style></head>
<body><main>
<header class="$kind"><h1>$headline: version $version</h1><p class="reason">$reason</p>
<p>Measured on $customers test customers, $against. $churn_rate of them left. No model was trained on them.</p></header>
<div class="cards">$cards</div>
<section><h2>Is it better?</h2>
<p>Paired differences on the same customers; positive means that the challenger is better. A difference of the size under
“Detectable” is found in 80 of 100 test sets like this one; a smaller one may be real and still not show.</p>
<div class="scroll">$differences</div></section>
<section><h2>The rules</h2><div class="scroll">$rules</div></section>
<section><h2>All measures</h2>
<p>With 95% intervals. To compare models read the paired differences above, not whether these intervals overlap.</p>
<div class="scroll">$metrics</div></section>
<section><h2>Money</h2><p>$money</p></section>
<section><h2>Plots</h2><div class="plots">$plots</div></section>
<section><h2>Segments</h2><p>Gap: mean prediction minus churn rate. Out of line means beyond noise, at 95% for all judged segments together.
$segment_note</p><div class="scroll">$segments</div></section>
</main></body></html>
""")
