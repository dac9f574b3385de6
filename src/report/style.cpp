#include "report/style.h"

namespace cross::report {

// Neither '<' nor '&' in either: Markup::verbatim.

const char* const page_css = R"css(
*{box-sizing:border-box}
html{background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;-webkit-text-size-adjust:100%}
body{margin:0}
main{max-width:1120px;margin:0 auto;padding:32px 24px 48px}
h1{font-size:2rem;line-height:1.2;margin:0;overflow-wrap:anywhere}
h2{font-size:1.3rem;margin:0 0 4px}
h3{font-size:1rem;margin:20px 0 6px}
p{margin:0 0 8px}
a{color:var(--link);text-decoration:none}
a[href]:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.kicker{color:var(--muted);font-size:.85rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase;margin:0}
.subtitle,.note,.quiet,footer{color:var(--muted)}
.note{max-width:80ch}
.name{overflow-wrap:anywhere}
section{margin-top:44px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:14px;margin:22px 0 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.tile dt{color:var(--muted);font-size:.85rem;font-weight:600}
.tile dd{margin:0}
.tile strong{font-size:2rem;line-height:1.25;font-weight:650;white-space:nowrap}
.tile p{font-size:.85rem;color:var(--muted);margin:2px 0 0;overflow-wrap:anywhere}
.unit{color:var(--muted)}
.scroll{overflow-x:auto;margin-top:10px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
th,td{padding:6px 10px 6px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:500}
thead th{color:var(--muted);font-weight:600;font-size:.82rem;vertical-align:bottom}
tfoot th,tfoot td{font-weight:650;border-bottom:0}
.n+td:not(.n),.n+th:not(.n){padding-left:14px}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .n{white-space:normal}
.layers th[scope=row]{min-width:190px;max-width:340px}
.layers td:last-child{min-width:110px}
thead button{all:unset;cursor:pointer}
thead button:focus-visible{outline:2px solid var(--link)}
th[aria-sort=ascending] button::after{content:" ↑"}
th[aria-sort=descending] button::after{content:" ↓"}
.bar{display:block;height:7px;border-radius:2px;min-width:1px}
.gauge{display:block;position:relative;height:7px;margin-top:3px;min-width:64px;background:var(--card)}
.gauge .bar{height:100%}
.gauge[style]::after{content:"";position:absolute;left:var(--one);top:-2px;bottom:-2px;border-left:1.5px solid var(--ink)}
.bars{width:45%;min-width:140px;padding-top:9px}
.bars .bar+.bar{margin-top:2px}
.stack{display:flex;height:22px;border-radius:4px;overflow:hidden;background:var(--card);flex:1;min-width:0}
.stack span{height:100%;min-width:1px}
.labelled{display:flex;gap:12px;align-items:center;margin:6px 0}
.labelled>span{flex:0 0 140px;font-size:.9rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;margin:8px 0 0;padding:0;font-size:.85rem}
.key{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;vertical-align:-1px;border:1px solid var(--line)}
.scale{display:flex;align-items:center;gap:8px;font-size:.85rem;margin-top:10px}
.steps{display:flex}
.steps i{width:14px;height:14px}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:18px 14px;margin-top:14px}
.thumbnail{display:flex;flex-direction:column;color:var(--ink);font-size:.82rem;line-height:1.3}
.thumbnail .map{height:130px;margin-bottom:6px}
.thumbnail small{color:var(--muted);font-size:.95em}
.definitions{position:absolute}
.definitions image,.map{image-rendering:pixelated}
.map{display:block;width:100%;background:var(--card);border:1px solid var(--line);border-radius:4px;padding:3px}
.charts{display:flex;flex-wrap:wrap;gap:20px;margin-top:10px}
.chart{width:100%;max-width:620px;height:auto}
.layer{border-top:1px solid var(--line);padding:8px 0}
.layer summary{cursor:pointer}
.layer>summary h3{display:inline;margin:0 10px 0 0}
.layer details{margin-top:12px}
.content{padding:12px 0 20px;scroll-margin-top:48px}
.pictures{display:flex;flex-wrap:wrap;gap:20px}
figure{margin:0;flex:0 1 300px;min-width:0}
figure .map{height:240px}
figcaption{font-size:.85rem;color:var(--muted);margin-top:6px}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;font-size:.9rem;margin:14px 0}
dl.facts dt{color:var(--muted)}
dl.facts dd{margin:0;overflow-wrap:anywhere}
.loads{flex:0 1 220px}
.loads .gauge{height:auto;margin-top:6px;padding:3px 0}
.loads .bar{height:9px;margin-bottom:2px}
footer{margin-top:48px;border-top:1px solid var(--line);padding-top:14px;font-size:.85rem}
@media (max-width:640px){
main{padding:20px 16px 36px}
h1{font-size:1.5rem}
section{margin-top:34px}
.tiles{gap:10px}
.tile{padding:10px 14px}
.layers th[scope=row]{min-width:150px;max-width:170px;position:sticky;left:0;background:var(--page)}
.labelled{display:block}
.labelled .stack{margin-top:2px}
.gallery{grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:14px 10px}
.thumbnail .map{height:96px}
dl.facts{grid-template-columns:1fr;gap:0}
dl.facts dd{margin-bottom:6px}
.bars{min-width:70px}
th,td{padding-right:8px}
table{font-size:.84rem}
.facts .n{white-space:normal}
}
@media print{
main{max-width:none;padding:0}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
.scroll{overflow:visible}
.tile,.thumbnail,figure,tr{break-inside:avoid}
h2,h3{break-after:avoid}
details::details-content{content-visibility:visible;display:block}
}
)css";

const char* const page_script = R"js(
"use strict";
for (const table of document.querySelectorAll("table.layers")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
      };
      const order = (a, b) => (key(a) > key(b) ? 1 : key(b) > key(a) ? -1 : 0);
      const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? order(b, a) : order(a, b)));
      table.tBodies[0].append(...rows);
    });
  });
}
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
)js";

const char* const page_script_hash = "sha256-tZq2qmiToFHh69WNwYsg0Vc8kNQxgGl0b1vUtGqSmhM=";

}  // namespace cross::report
