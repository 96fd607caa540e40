/**
 * A terminal's screen as a picture: reads what `tmux capture-pane -e -p` prints, writes SVG.
 *
 *   tmux new-session -d -s picture -x 170 -y 44 'npx hotpair sim topologies/failover.yaml; sleep 60'
 *   tmux capture-pane -e -p -t picture | node docs/picture.mjs 'hotpair sim' > docs/failover.svg
 */
import { readFileSync } from "node:fs";

const CELL = { width: 8.4, height: 18 };
const COLORS = { 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 36: "#79c0ff" };

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** One line as spans: SGR sequences change the style, everything else is text. */
function spans(line) {
  const result = [];
  let style = {};
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what this reads.
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
    const codes = /^\u001b\[([0-9;]*)m$/.exec(part)?.[1];
    if (codes === undefined) {
      if (part !== "") result.push({ text: part, column, ...style });
      column += [...part].length;
      continue;
    }
    for (const code of codes.split(";").map(Number)) {
      if (code === 0) style = {};
      else if (code === 1) style = { ...style, bold: true };
      else if (code === 2) style = { ...style, dim: true };
      else if (code === 22) style = { ...style, bold: false, dim: false };
      else if (code === 39) style = { ...style, color: undefined };
      else if (COLORS[code] !== undefined) style = { ...style, color: COLORS[code] };
    }
  }
  return result;
}

const lines = readFileSync(0, "utf8").trimEnd().split("\n");
const ends = lines.flatMap((line) => spans(line).map(({ column, text }) => column + [...text].length));
const columns = Math.max(...ends);
const width = Math.ceil((columns + 3) * CELL.width);
const height = (lines.length + 1.5) * CELL.height;

const texts = lines.flatMap((line, row) =>
  spans(line).map(({ text, column, color, bold, dim }) => {
    const fill = color ?? (dim ? "#8b949e" : "#e6edf3");
    const x = ((column + 1.5) * CELL.width).toFixed(1);
    const weight = bold ? ' font-weight="bold"' : "";
    const length = ([...text].length * CELL.width).toFixed(1);
    return `<text x="${x}" y="${(row + 1.5) * CELL.height}" fill="${fill}"${weight} textLength="${length}">${escaped(text)}</text>`;
  }),
);

process.stdout.write(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>${escaped(process.argv[2] ?? "A terminal")}</title>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">
${texts.join("\n")}
</g>
</svg>
`);
