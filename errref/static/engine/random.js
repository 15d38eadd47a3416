// NumPy's generators, draw for draw, so that a seed means here what it means in Python: SeedSequence, PCG64
// (numpy.random.default_rng) and the Mersenne Twister (numpy.random.RandomState).

// A seed below 2^32, and whose child it is, hashed to `count` words of 32 bits (O'Neill's seed_seq).
export function seedWords(seed, spawnKey, count) {
  const entropy = spawnKey.length ? [seed, 0, 0, 0, ...spawnKey] : [seed];
  let factor = 0x43b0d7e5;
  const scramble = (value, multiplier) => {
    value ^= factor;
    factor = Math.imul(factor, multiplier);
    value = Math.imul(value, factor);
    return value ^ (value >>> 16);
  };
  const blend = (x, y) => {
    const value = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
    return value ^ (value >>> 16);
  };
  const pool = [0, 1, 2, 3].map((i) => scramble(entropy[i] ?? 0, 0x931e8875));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = blend(pool[to], scramble(pool[from], 0x931e8875));
  for (let from = 4; from < entropy.length; from++)
    for (let to = 0; to < 4; to++) pool[to] = blend(pool[to], scramble(entropy[from], 0x931e8875));
  factor = 0x8b51f9dd;
  return Array.from({ length: count }, (_, i) => scramble(pool[i % 4], 0x58f38ded) >>> 0);
}

// The seed of a part of a model, by its place in it, as `errref.reflection` spawns them.
export function spawnedSeed(seed, key) {
  return seedWords(seed, [key], 1)[0] >>> 1;
}

// numpy.random.default_rng(seed).random, as a function: PCG64 with XSL-RR output, O'Neill (2014).
export function pcg64(seed) {
  const mask64 = (1n << 64n) - 1n, mask128 = (1n << 128n) - 1n;
  const words = seedWords(seed, [], 8).map(BigInt);
  const pair = (i) => words[i] | (words[i + 1] << 32n);
  const start = (pair(0) << 64n) | pair(2), increment = (((pair(4) << 64n) | pair(6)) << 1n | 1n) & mask128;
  const advance = (state) => (state * 0x2360ed051fc65da44385df649fccf645n + increment) & mask128;
  let state = advance((advance(0n) + start) & mask128);
  return () => {
    state = advance(state);
    const folded = (state >> 64n) ^ (state & mask64), turn = state >> 122n;
    const output = ((folded >> turn) | (folded << (64n - turn))) & mask64;
    return Number(output >> 11n) / 2 ** 53;
  };
}

// numpy.random.RandomState(seed).permutation(n): MT19937 and a shuffle with masked rejection.
export function permutation(seed, n) {
  const next = mersenneTwister(seed), order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const mask = 2 ** (32 - Math.clz32(i)) - 1;
    let j;
    do j = (next() & mask) >>> 0; while (j > i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function mersenneTwister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let place = 624;
  return () => {
    if (place === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      place = 0;
    }
    let y = state[place++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}
