#include <cstdint>
#include <iostream>
#include <stdexcept>

#include <boost/program_options.hpp>

#include "benches.hpp"
#include "core/foundation/byte_size.hpp"
#include "sides.hpp"

namespace po = boost::program_options;
using namespace seedbed;
using namespace seedbed::bench;

int main(int argc, char** argv) {
    bench_options options;
    std::string bench;
    std::string size = "1 GiB";
    po::options_description description("Options");
    auto add = description.add_options();
    add("help,h", "show this help");
    add("side", po::value(&options.sides),
        "what is compared, once for each: seedbed[:KEY=VALUE...], mmap, posix, null");
    add("folder", po::value(&options.folder), "where the images are made (default /dev/shm)");
    add("size", po::value(&size), "of the image (default 1 GiB)");
    add("runs", po::value(&options.runs), "of each side, in turns (default 3)");
    add("leechers", po::value(&options.leechers), "swarm: how many (default 1)");
    add("lazy", po::bool_switch(&options.lazy),
        "swarm: the seeder hashes each piece before it sends it the first time");
    add("load", po::value(&options.load), "backend: write, read or mixed");
    add("open", po::value(&options.open), "backend: pieces that arrive at a time, in turns (default 4)");
    add("outstanding", po::value(&options.outstanding), "backend: blocks on the way at most (default 4096)");
    add("rate", po::value(&options.rate), "backend: MiB/s that come to be written (default: no limit)");
    add("device", po::value(&options.device), "backend, sides 'seedbed': a block device, which is overwritten");
    add("json", po::value(&options.json), "write the results to this file");
    po::options_description all;
    all.add(description).add_options()("bench", po::value(&bench));
    po::positional_options_description positional;
    positional.add("bench", 1);
    try {
        po::variables_map values;
        po::store(po::command_line_parser(argc, argv).options(all).positional(positional).run(), values);
        po::notify(values);
        auto const bytes = parse_byte_size(size);
        if (!bytes) {
            throw std::invalid_argument(bytes.error().message);
        }
        options.size = *bytes;
        if (values.count("help") != 0 || options.sides.empty() || (bench != "swarm" && bench != "backend")) {
            std::cout << "Usage: seedbed_bench swarm|backend --side SIDE [--side SIDE]... [OPTION]...\n\n"
                      << description;
            return values.count("help") != 0 ? 0 : 2;
        }
        for (auto const& name : options.sides) {
            static_cast<void>(side(name));
        }
    } catch (std::exception const& e) {
        std::cerr << "seedbed_bench: " << e.what() << '\n';
        return 2;
    }
    if (bench == "swarm") {
        run_swarm_bench(options);
    } else {
        run_backend_bench(options);
    }
    return 0;
}
