// Rows: examples, CSV files, and the units that a network sees them in.

/** A table of text as rows of cells: commas, semicolons or tabs, quotes as RFC 4180 has them. */
function parseTable(text) {
  const first = text.slice(0, text.indexOf("\n") < 0 ? undefined : text.indexOf("\n"));
  const delimiter = [",", ";", "\t"].reduce((best, mark) =>
    first.split(mark).length > first.split(best).length ? mark : best, ",");
  const rows = [];
  let row = [], cell = "", quoted = false;
  const endRow = () => { row.push(cell); if (row.some((c) => c.trim() !== "")) rows.push(row); row = []; cell = ""; };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') { cell += '"'; i++; } else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === delimiter) { row.push(cell); cell = ""; }
    else if (c === "\n") endRow();
    else if (c !== "\r" && c !== "\ufeff") cell += c;
  }
  endRow();
  return rows;
}

const DAY = 86400000;

/** A number or a date (as days since 1970), or null. */
function cellValue(text, decimalComma = false) {
  let t = text.trim();
  if (decimalComma) t = t.replace(/\./g, "").replace(",", ".");
  if (/^[-+]?(\d[\d ,]*\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(t)) return { value: Number(t.replace(/[ ,]/g, "")), isDate: false };
  const date = /^(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?/.exec(t);
  if (!date) return null;
  const [, y, m, d = 1, h = 0, min = 0, s = 0] = date.map((part) => (part === undefined ? undefined : Number(part)));
  const time = Date.UTC(y, m - 1, d, h, min, s);
  return Number.isFinite(time) && m >= 1 && m <= 12 ? { value: time / DAY, isDate: true } : null;
}

/**
 * The columns of a file that hold numbers or dates: `{ columns: [{ name, values, isDate }], rows }`.
 * @throws Error with words for the reader.
 */
function readTable(text) {
  const rows = parseTable(text);
  // As people write numbers whose cells a semicolon parts: 1,5;2,5.
  const decimalComma = text.includes(";") && /\d,\d/.test(text) && !/\d\.\d/.test(text);
  if (rows.length < 2) throw new Error("the file has no rows below its header");
  const headless = rows[0].every((cell) => cellValue(cell, decimalComma));
  const names = rows[0].map((cell, i) => (headless || cell.trim() === "" ? `column ${i + 1}` : cell.trim()));
  const body = headless ? rows : rows.slice(1);
  const columns = names.map((name, i) => {
    const cells = body.map((row) => cellValue(row[i] ?? "", decimalComma));
    const known = cells.filter(Boolean);
    return {
      name, values: cells.map((cell) => (cell ? cell.value : null)),
      isDate: known.length > 0 && known.every((cell) => cell.isDate), share: known.length / body.length,
    };
  }).filter((column) => column.share > 0.5);
  if (columns.length === 0) throw new Error("no column of the file holds numbers");
  if (columns.length === 1) {
    columns.unshift({ name: "row", values: body.map((_, i) => i + 1), isDate: false });
  }
  return { columns, rows: body.length };
}

/** The column to go by and the one to predict: dates first, else the first that only rises, else the first. */
function guessColumns(columns) {
  const rises = (values) => values.every((v, i) => i === 0 || v === null || values[i - 1] === null || v >= values[i - 1]);
  let x = columns.findIndex((column) => column.isDate);
  if (x < 0) x = columns.findIndex((column) => rises(column.values));
  if (x < 0) x = 0;
  let y = columns.findIndex((column, i) => i !== x && !column.isDate);
  if (y < 0) y = x === 0 ? 1 : 0;
  return { x, y };
}

/** Rows that the page reads at most: the last ones. */
const MOST_ROWS = 192;

/** What the page shows of two columns: points, a window beyond the last one, units. */
function dataOf(table, x, y) {
  const [cx, cy] = [table.columns[x], table.columns[y]];
  let points = cx.values.map((value, i) => ({ x: value, y: cy.values[i] }))
    .filter((p) => p.x !== null && p.y !== null).sort((a, b) => a.x - b.x);
  if (points.length < 1) throw new Error(`no row has both '${cx.name}' and '${cy.name}'`);
  const found = points.length;
  points = points.slice(-MOST_ROWS);
  const xs = points.map((p) => p.x), ys = points.map((p) => p.y);
  const low = xs[0], width = xs[xs.length - 1] - low || 1;
  const mean = ys.reduce((a, b) => a + b, 0) / ys.length;
  const scale = Math.sqrt(ys.reduce((a, b) => a + (b - mean) ** 2, 0) / ys.length) || 1;
  const [least, most] = [Math.min(...ys), Math.max(...ys)];
  const room = Math.max((most - least) * 0.35, scale);
  return {
    points: points.map((p) => ({ ...p, pin: false })), found,
    window: { x0: low, x1: low + width * 1.25, y0: least - room, y1: most + room },
    units: { y: mean, scale }, names: { x: cx.name, y: cy.name }, isDate: cx.isDate,
    future: low + width, over: "future", part: 1,
  };
}

/** A sheet to draw on. Points drawn by hand lie as far apart as they do in training where the sheet is a part of its width. */
function sheet(points, over = "all") {
  return {
    points: points.map(([x, y]) => ({ x, y, pin: false })), found: points.length,
    window: { x0: 0, x1: 10, y0: -3, y1: 3 }, units: { y: 0, scale: 1 }, names: { x: "x", y: "y" }, isDate: false,
    future: null, over, part: 0.7,
  };
}

const EXAMPLES = {
  points: { words: "Six points", model: 0, make: () => sheet([[0.8, -0.6], [1.9, 0.9], [3.1, 1.2], [6.2, -0.9], [7.1, -0.3], [8.4, 1.1]]) },
  noisy: {
    words: "Noisy readings", model: 1,
    // Irregular, but the same each time: fractional parts of multiples of irrational numbers.
    make: () => sheet(Array.from({ length: 40 }, (_, i) => {
      const u = (i * 0.618034) % 1, v = (i * 0.754878) % 1, w = (i * 0.569840) % 1;
      const x = 0.1 + 6.4 * u;
      return [x, 1.1 * Math.sin(1.3 * x) + 0.12 * x - 0.4 + 0.16 * (v + w + ((v * 7.3) % 1) - 1.5)];
    }), "future"),
  },
  gap: { words: "A gap", model: 0, make: () => sheet([[0.5, 1.0], [1.2, 1.6], [2.0, 1.3], [2.7, 0.4], [7.0, -0.8], [7.6, -1.3], [8.5, -0.6], [9.3, 0.5]]) },
  empty: { words: "Empty", model: 0, make: () => sheet([]) },
};
