"""Speed as ratios, side by side in one run: `make bench`."""

from benchmarks import bench_exact, bench_isodata

for benchmark in (bench_exact, bench_isodata):
    benchmark.main()
