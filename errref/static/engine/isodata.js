// ISODATA, as `errref.isodata` has it: the 14 steps of Gonzalez, Fry and Kryter (1974), with the same rule for ties.
// X is an array of rows. What each parameter means, and its default, stands in the Python class. Beside what that keeps,
// an entry of the history has the `labels` of its iteration, places in `start`, and the result has both thresholds.
import { permutation } from "./random.js";

const TIE = 1e-10;
const DEFAULTS = { min_samples: 1, max_std: null, min_distance: null, max_merges: 2, max_iter: 100, split_fraction: 0.5 };

export function isodata(X, parameters) {
  const p = { ...DEFAULTS, ...parameters };
  if (p.min_samples > X.length)
    throw new Error(`min_samples=${p.min_samples} is more than n_samples=${X.length}; make it smaller.`);
  const origin = meanOf(X), samples = X.map((row) => minus(row, origin));
  const stds = scatter(samples, samples.map(() => 0), [origin.map(() => 0)]).squares[0].map((q) => Math.sqrt(q / X.length));
  const spread = length(stds), slack = TIE * spread;
  p.max_std ??= 0.8 * Math.max(...stds);
  p.min_distance ??= 0.25 * spread;
  const drawn = p.init ?? permutation(p.random_state, X.length).slice(0, p.n_clusters).map((i) => X[i]);
  let centers = drawn.map((row) => minus(row, origin)), idle = 0;
  const history = [];
  for (let iteration = 1; iteration <= p.max_iter && idle < 2; iteration++) {
    const entry = iterate(samples, p, slack, centers, iteration);
    const changed = entry.discarded.length || entry.split.length || entry.lumped.length || !same(centers, entry.centers);
    idle = changed ? 0 : idle + 1; // two in a row, an odd and an even one: all others would repeat them
    centers = entry.centers;
    const back = (rows) => rows.map((row) => row.map((value, f) => value + origin[f]));
    const { start, moved } = entry;
    history.push({ ...entry, start: back(start), moved: back(moved), centers: back(centers) });
  }
  const found = history.at(-1).centers;
  const middle = meanOf(found), labels = assign(X.map((row) => minus(row, middle)), found.map((row) => minus(row, middle)));
  return { centers: found, labels, history, max_std: p.max_std, min_distance: p.min_distance };
}

// Steps 2 to 14, once.
function iterate(X, p, slack, start, iteration) {
  const labels = assign(X, start); // step 2
  const allSizes = start.map(() => 0), sums = start.map((row) => row.map(() => 0));
  X.forEach((row, i) => {
    allSizes[labels[i]]++;
    row.forEach((value, f) => (sums[labels[i]][f] += value));
  });
  const largest = allSizes.indexOf(Math.max(...allSizes));
  const kept = start.map((_, j) => j).filter((j) => allSizes[j] >= p.min_samples || j === largest); // step 3
  const means = sums.map((row, j) => row.map((value) => value / Math.max(allSizes[j], 1)));
  const sizes = kept.map((j) => allSizes[j]), centers = kept.map((j) => means[j]); // step 4
  const discarded = start.map((_, j) => j).filter((j) => !kept.includes(j));
  const events = { discarded, split: [], considered: [], lumped: [] };
  const entry = { iteration, start, labels, sizes: allSizes, moved: centers, centers, ...events };
  if (iteration === p.max_iter) return entry; // step 7 (a)
  const few = 2 * centers.length <= p.n_clusters; // step 7 (b)
  if (few || (iteration % 2 === 1 && centers.length < 2 * p.n_clusters)) { // step 7 (c)
    const { squares, distances } = scatter(X, labels, means);
    const stds = kept.map((j, k) => squares[j].map((q) => Math.sqrt(q / sizes[k]))); // step 8
    const total = kept.reduce((sum, j) => sum + distances[j], 0), count = sizes.reduce((sum, size) => sum + size, 0);
    const spreads = { meanDistances: kept.map((j, k) => distances[j] / sizes[k]), meanDistance: total / count }; // 5, 6
    Object.assign(entry, spreads, { stds });
    split(p, slack, sizes, few, entry);
  }
  if (!entry.split.length) lump(p, slack, sizes, entry);
  return entry;
}

// Steps 9 and 10; the lower half of a cluster follows its upper half.
function split(p, slack, sizes, few, entry) {
  entry.centers = entry.moved.flatMap((center, j) => {
    const sigma = Math.max(...entry.stds[j]), column = entry.stds[j].findIndex((std) => std >= sigma - slack);
    const loose = entry.meanDistances[j] > entry.meanDistance + slack && sizes[j] > 2 * (p.min_samples + 1);
    if (!(sigma > p.max_std + slack && (loose || few))) return [center];
    entry.split.push(j);
    const half = (sign) => center.map((value, f) => (f === column ? value + sign * p.split_fraction * sigma : value));
    return [half(1), half(-1)];
  });
}

// Steps 11 to 13; the mean of a pair replaces the first of it.
function lump(p, slack, sizes, entry) {
  const centers = [...entry.moved], used = new Set(), pairs = [];
  for (let i = 0; i < centers.length; i++)
    for (let j = i + 1; j < centers.length; j++) pairs.push({ i, j, distance: length(minus(centers[i], centers[j])) });
  const place = new Map(pairs.map((pair, k) => [pair, k]));
  const ranked = [...pairs].sort((a, b) => a.distance - b.distance);
  let rank = 0; // one for all that are equal
  ranked.forEach((pair, k) => (pair.rank = k && pair.distance - ranked[k - 1].distance > slack ? ++rank : rank));
  ranked.sort((a, b) => a.rank - b.rank || place.get(a) - place.get(b));
  const near = ranked.filter((pair) => pair.distance < p.min_distance - slack).slice(0, p.max_merges);
  for (const { i, j } of near) {
    entry.considered.push([i, j]);
    if (used.has(i) || used.has(j)) continue;
    used.add(i).add(j);
    entry.lumped.push([i, j]);
    const [a, b] = [sizes[i], sizes[j]], other = centers[j];
    centers[i] = centers[i].map((value, f) => (a * value + b * other[f]) / (a + b));
  }
  entry.centers = centers.filter((_, k) => !entry.lumped.some(([, j]) => j === k));
}

// The nearest centre of each row; the first of those that are equally near.
function assign(X, centers) {
  return X.map((row) => {
    let nearest = 0, bound = Infinity;
    centers.forEach((center, j) => {
      let square = 0;
      for (let f = 0; f < row.length; f++) square += (row[f] - center[f]) ** 2;
      if (square < bound) [nearest, bound] = [j, square * (1 - TIE)];
    });
    return nearest;
  });
}

// For each label, the sums of squared deviations from its centre in each column and of distances to it.
function scatter(X, labels, centers) {
  const squares = centers.map((center) => center.map(() => 0)), distances = centers.map(() => 0);
  X.forEach((row, i) => {
    const deviation = minus(row, centers[labels[i]]);
    deviation.forEach((value, f) => (squares[labels[i]][f] += value * value));
    distances[labels[i]] += length(deviation);
  });
  return { squares, distances };
}

function meanOf(rows) {
  return rows[0].map((_, f) => rows.reduce((sum, row) => sum + row[f], 0) / rows.length);
}

function minus(a, b) {
  return a.map((value, f) => value - b[f]);
}

function length(deviation) {
  return Math.sqrt(deviation.reduce((sum, value) => sum + value * value, 0));
}

function same(a, b) {
  return a.length === b.length && a.every((row, j) => row.every((value, f) => value === b[j][f]));
}
