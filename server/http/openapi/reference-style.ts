/** The reference stands by itself: it works where the dashboard is not built. */
export const referenceStyle = `
:root { --ground: #fcfcfb; --raised: #f4f4f2; --line: #dcdcd8; --ink: #1b1c1a; --soft: #5a5c57; --accent: #2f5fb3; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #151614; --raised: #1e201d; --line: #34362f; --ink: #e9eae6; --soft: #a3a69e; --accent: #8db4f5; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
h3 { overflow-wrap: anywhere; }
body { margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 1fr); background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1rem; border-right: 1px solid var(--line);
  background: var(--raised); font-size: 14px; }
nav ul { list-style: none; margin: 0 0 .5rem; padding: 0 0 0 .9rem; }
nav li a { display: block; padding: .15rem 0; color: var(--ink); text-decoration: none; }
nav li a:hover { color: var(--accent); }
.brand { margin: 0; font-weight: 600; }
.brand span { color: var(--soft); font-weight: 400; }
main { padding: 1.5rem 2rem 4rem; max-width: 62rem; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
h2 { margin: 2.5rem 0 .5rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); font-size: 1.2rem; text-transform: capitalize; }
h3 { margin: 0; font-size: 1rem; }
article { padding: 1rem 0; border-bottom: 1px solid var(--line); }
article p { margin: .25rem 0; }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible, pre:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: .5rem; top: .5rem; z-index: 1; padding: .5rem; background: var(--ground); }
summary { cursor: pointer; padding: .3rem 0; color: var(--soft); }
nav summary { color: var(--ink); font-weight: 500; text-transform: capitalize; }
code, pre, .method { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .87em; }
code { overflow-wrap: anywhere; }
.method { display: inline-block; color: var(--soft); font-weight: 600; font-size: .78em; }
pre { margin: .5rem 0; padding: .75rem 1rem; overflow-x: auto; background: var(--raised); border: 1px solid var(--line);
  border-radius: 6px; }
pre code { overflow-wrap: normal; font-size: 13px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: 400; }
th { white-space: nowrap; }
td:nth-child(2) { color: var(--soft); white-space: nowrap; }
dt { font-weight: 600; font-variant-numeric: tabular-nums; }
dd { margin: 0 0 .5rem; }
@media (max-width: 48rem) {
  body { display: block; }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); }
  nav summary, nav li a { padding: .4rem 0; }
  main { padding: 1rem; }
  th { white-space: normal; }
  td:nth-child(2) { white-space: normal; }
}
`;
