#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace seedbed::bench {

/// What the command line gives to a bench.
struct bench_options {
    std::vector<std::string> sides;  ///< see side
    std::string folder = "/dev/shm"; ///< where images are made; a folder of the bench's own is made in it and removed
    std::int64_t size = 1LL << 30;   ///< bytes of the image
    int runs = 3;                    ///< of each side, in turns
    int leechers = 1;
    bool lazy = false;          ///< swarm: the seeder hashes each piece once, before it is first sent
    int open = 4;               ///< backend: pieces that arrive at a time, block by block in turns
    int outstanding = 4096;     ///< backend: blocks on the way at most
    double rate = 0;            ///< backend: MiB/s that come to be written; 0: as fast as they are taken
    std::string load = "write"; ///< backend: write, read or mixed
    std::string device;         ///< backend, ours: a block device instead of a file
    std::string json;           ///< a file for the results
};

/// A seeder and leechers, a process each, on loopback: both sides of the wire use the same side.
void run_swarm_bench(bench_options const& options);
/// lt::disk_interface driven directly with the same operations.
void run_backend_bench(bench_options const& options);

} // namespace seedbed::bench
