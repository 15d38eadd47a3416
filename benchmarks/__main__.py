"""Speed as ratios, side by side in one run: `make bench`."""

from benchmarks import bench_convolution, bench_exact, bench_import, bench_isodata

for benchmark in (bench_exact, bench_isodata, bench_convolution, bench_import):
    benchmark.main()
