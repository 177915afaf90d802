// Quality and diversity along each merge path, with their intervals.

const { data, fixed, keepDrawn, plotLayout, style } = globalThis.cfgdistill;

const MARGIN = { l: 46, r: 12, t: 10, b: 40 };

function drawPath(node) {
  const path = data.mergePaths[Number(node.dataset.path)];
  const { figure } = node.dataset;
  const bounds = path.interval[figure];
  const tint = style('--merged');
  const bound = (end, more) => ({
    type: 'scatter',
    mode: 'lines',
    x: path.lambda,
    y: bounds.map((interval) => interval[end]),
    line: { width: 0 },
    hoverinfo: 'skip',
    ...more,
  });
  const curve = {
    type: 'scatter',
    mode: 'lines+markers',
    x: path.lambda,
    y: path[figure],
    customdata: bounds.map(([low, high]) => `${fixed(low)} to ${fixed(high)}`),
    hovertemplate: `λ %{x}: <b>%{y:.3f}</b> (%{customdata})<extra></extra>`,
    line: { color: tint, width: 2.5 },
    marker: { color: tint, size: 8, symbol: 'pentagon' },
    cliponaxis: false,
  };
  const traces = [bound(0), bound(1, { fill: 'tonexty', fillcolor: `${tint}2e` }), curve];
  const shapes = figure === 'quality' ? barrierOf(path) : [];
  const layout = plotLayout();
  Object.assign(layout, { width: node.clientWidth, height: 220, margin: MARGIN, hovermode: 'closest', shapes });
  Object.assign(layout.xaxis, { range: [-0.03, 1.03], title: { text: 'λ', standoff: 4 }, tickvals: path.lambda });
  if (path.lambda.length > 7) delete layout.xaxis.tickvals;
  Object.assign(layout.yaxis, { nticks: 5 });
  globalThis.Plotly.react(node, traces, layout, { displayModeBar: false });
}

/** The line below which no merge should fall: the quality of the lower end. */
function barrierOf({ quality }) {
  const lower = Math.min(quality[0], quality.at(-1));
  const line = { color: style('--muted'), width: 1, dash: 'dot' };
  return [{ type: 'line', x0: 0, x1: 1, y0: lower, y1: lower, line }];
}

for (const node of document.querySelectorAll('.merge-plots .plot')) keepDrawn(node, () => drawPath(node));
