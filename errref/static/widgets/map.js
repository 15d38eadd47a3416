// A map of a function of two variables: shades of grey, light where it is low, and lines of equal height.

// Values at the middles of cells * cells equal squares between -half and half, the lowest row first.
export function survey(height, half, cells) {
  const at = (i) => half * ((2 * i + 1) / cells - 1);
  return Float64Array.from({ length: cells * cells }, (_, k) => height([at(k % cells), at(Math.floor(k / cells))]));
}

// The shades between two heights as the address of a picture, a pixel for each value.
export function shades(values, cells, low, high) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  canvas.width = canvas.height = cells;
  const picture = context.createImageData(cells, cells);
  values.forEach((value, k) => {
    const grey = 255 - 170 * Math.min((value - low) / (high - low), 1), row = cells - 1 - Math.floor(k / cells);
    picture.data.set([grey, grey, grey, 255], 4 * (row * cells + (k % cells)));
  });
  context.putImageData(picture, 0, 0);
  return canvas.toDataURL();
}

// A line of equal height, as a path of pieces in a square of the unit `side`: one piece for each square of four
// neighbouring values that it crosses, straight between the places where it cuts the square's edges.
export function contour(values, cells, level, side) {
  const pieces = [], unit = side / cells;
  for (let j = 0; j + 1 < cells; j++) {
    for (let i = 0; i + 1 < cells; i++) {
      const first = j * cells + i, around = [first, first + 1, first + cells + 1, first + cells];
      const below = around.reduce((count, k) => count + (values[k] < level), 0);
      if (below > 0 && below < 4) pieces.push(...cuts(values, cells, level, around).map(([x, y]) => [x * unit, side - y * unit]));
    }
  }
  return pieces.map(([x, y], k) => `${k % 2 ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
}

// Where a level cuts the edges of a square of four neighbours: two places or four.
function cuts(values, cells, level, around) {
  const middle = (k) => [(k % cells) + 0.5, Math.floor(k / cells) + 0.5], found = [];
  around.forEach((from, k) => {
    const to = around[(k + 1) % 4];
    if (values[from] < level === values[to] < level) return;
    const part = (level - values[from]) / (values[to] - values[from]), [x, y] = middle(from), [X, Y] = middle(to);
    found.push([x + part * (X - x), y + part * (Y - y)]);
  });
  return found;
}
