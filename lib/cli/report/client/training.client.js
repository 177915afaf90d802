// Small multiples of the training curves: a row per kind of stage, a panel per metric.

const { data, element, keepDrawn, plotLayout, plotText, style } = globalThis.cfgdistill;

const box = document.getElementById('training-plots');

/** `klPerSequence` as a person writes it: KL per sequence. */
function words(name) {
  const apart = name.replace(/([a-z])([A-Z0-9])/g, '$1 $2').replace(/[_-]/g, ' ');
  return apart.toLowerCase().replace(/\bkl\b/g, 'KL');
}

/** Colours of a panel's lines: one hue per stage, in a fixed order. */
const LINES = ['--line-1', '--line-2', '--line-3', '--line-4', '--line-5', '--line-6'];
const plots = [];
const DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash', 'longdashdot'];

function drawPanel(node, panel) {
  const layout = plotLayout();
  Object.assign(layout, {
    width: node.clientWidth,
    height: 180,
    margin: { l: 44, r: 8, t: 8, b: 28 },
    hovermode: 'x unified',
  });
  layout.font.size = 11;
  layout.hoverlabel.font.size = 11;
  Object.assign(layout.xaxis, { showgrid: false, nticks: 5 });
  Object.assign(layout.yaxis, { nticks: 4, rangemode: 'normal' });
  const traces = panel.lines.map(({ stage, step, values }, order) => ({
    type: 'scatter',
    mode: values.length > 1 ? 'lines' : 'markers',
    name: plotText(stage),
    x: step,
    y: values,
    hovertemplate: '%{y:.4g}',
    line: { color: style(LINES[order % LINES.length]), width: 1.8, dash: DASHES[order % DASHES.length] },
  }));
  globalThis.Plotly.react(node, traces, layout, { displayModeBar: false });
}

function addGroup({ group, panels }) {
  const stages = [...new Set(panels.flatMap((panel) => panel.lines.map((line) => line.stage)))];
  const title = element('h3', {}, words(group));
  const section = element('div', { className: 'stage' }, title);
  section.style.setProperty('--panels', Math.min(panels.length, 4));
  box.append(section);
  if (stages.length > 1) {
    const key = element('p', { className: 'key' });
    stages.forEach((stage, order) => {
      const swatch = element('span', { className: 'swatch', 'data-dash': DASHES[order % DASHES.length] });
      swatch.style.setProperty('--tint', `var(${LINES[order % LINES.length]})`);
      key.append(element('span', {}, swatch, stage));
    });
    section.append(key);
  }
  const grid = element('div', { className: 'panels' });
  section.append(grid);
  for (const panel of panels) {
    const node = element('div', { className: 'plot', role: 'img' });
    node.setAttribute('aria-label', `${words(panel.metric)} by step`);
    grid.append(element('figure', {}, element('figcaption', {}, words(panel.metric)), node));
    plots.push([node, panel]);
  }
}

if (box !== null) {
  data.training.forEach(addGroup);
  // Only now is it known how wide each panel is.
  for (const [node, panel] of plots) keepDrawn(node, () => drawPanel(node, panel));
}
