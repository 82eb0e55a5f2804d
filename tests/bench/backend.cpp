#include "benches.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/disk_interface.hpp>
#include <libtorrent/disk_observer.hpp>
#include <libtorrent/io_context.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/storage_defs.hpp>
#include <libtorrent/torrent_info.hpp>

#include "daemon/swarm/session_settings.hpp"
#include "report.hpp"
#include "sides.hpp"

namespace seedbed::bench {

namespace lt = libtorrent;
namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

namespace {

struct observer final : lt::disk_observer {
    bool paused = false;
    void on_disk() override { paused = false; }
};

struct latencies {
    std::vector<double> all; ///< milliseconds
    [[nodiscard]] double percentile(double p) {
        if (all.empty()) {
            return 0;
        }
        auto const at = all.begin() + static_cast<std::ptrdiff_t>(p * static_cast<double>(all.size() - 1));
        std::nth_element(all.begin(), at, all.end());
        return *at;
    }
};

double process_cpu() {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    auto const seconds = [](timeval const& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Reads and writes of this process that were separate system calls: not those of a ring, nor
/// page faults of mapped memory.
double transfer_calls() {
    std::ifstream in("/proc/self/io");
    double sum = 0;
    std::string name;
    double value = 0;
    while (in >> name >> value) {
        if (name == "syscr:" || name == "syscw:") {
            sum += value;
        }
    }
    return sum;
}

/// Drives one disk_interface: pieces of the image, several at a time, their blocks in order, as from several peers.
class driver {
public:
    driver(lt::disk_interface& io, lt::io_context& context, lt::storage_index_t storage, image_torrent const& torrent,
           bench_options const& options)
        : m_options(options)
        , m_io(io)
        , m_context(context)
        , m_storage(storage)
        , m_torrent(torrent)
        , m_data(block_size, 'x') {}

    /// The blocks of these pieces in turn, as several peers send them, no faster than the rate.
    void write_pieces(std::span<std::int32_t const> pieces) {
        for (std::int32_t start = 0; start < m_torrent.piece_length; start += block_size) {
            for (auto const piece : pieces) {
                auto const size = m_torrent.info->piece_size(lt::piece_index_t{piece});
                if (start < size) {
                    write_block(piece, start, std::min(block_size, size - start));
                    if (start + block_size >= size) {
                        hash(piece);
                    }
                }
            }
        }
    }

    void read_piece(std::int32_t piece) {
        for_each_block(piece, [&](std::int32_t start, std::int32_t length) {
            hold_back();
            ++m_outstanding;
            auto const begin = clock::now();
            m_io.async_read(m_storage, {lt::piece_index_t{piece}, start, length},
                            [this, begin](lt::disk_buffer_holder, lt::storage_error const& error) {
                                finish(error);
                                read_latency.all.push_back(
                                    std::chrono::duration<double, std::milli>(clock::now() - begin).count());
                            });
            m_io.submit_jobs();
        });
    }

    void drain() {
        while (m_outstanding > 0) {
            m_context.run_one();
        }
    }

    latencies write_latency;
    latencies read_latency;

private:
    void write_block(std::int32_t piece, std::int32_t start, std::int32_t length) {
        hold_back();
        keep_to_rate(length);
        ++m_outstanding;
        auto const begin = clock::now();
        if (m_io.async_write(m_storage, {lt::piece_index_t{piece}, start, length}, m_data.data(), m_observer,
                             [this, begin](lt::storage_error const& error) {
                                 finish(error);
                                 write_latency.all.push_back(
                                     std::chrono::duration<double, std::milli>(clock::now() - begin).count());
                             })) {
            m_observer->paused = true;
        }
        m_io.submit_jobs();
    }

    void keep_to_rate(std::int32_t length) {
        if (m_options.rate == 0) {
            return;
        }
        m_next += std::chrono::duration_cast<clock::duration>(
            std::chrono::duration<double>(length / (m_options.rate * (1 << 20))));
        // Delayed blocks arrive as soon as possible, but no more than the sender's window.
        m_next = std::max(m_next, clock::now() - std::chrono::milliseconds(20));
        while (clock::now() < m_next) {
            m_context.run_one_until(m_next);
        }
    }

    template <class Each>
    void for_each_block(std::int32_t piece, Each const& each) {
        auto const size = m_torrent.info->piece_size(lt::piece_index_t{piece});
        for (std::int32_t start = 0; start < size; start += block_size) {
            each(start, std::min(block_size, size - start));
        }
    }

    void hash(std::int32_t piece) {
        ++m_outstanding;
        m_io.async_hash(
            m_storage, lt::piece_index_t{piece}, {}, lt::disk_interface::v1_hash,
            [this](lt::piece_index_t, lt::sha1_hash const&, lt::storage_error const& error) { finish(error); });
        m_io.submit_jobs();
    }

    void hold_back() {
        m_context.poll();
        while (m_outstanding >= m_options.outstanding || m_observer->paused) {
            m_context.run_one();
        }
    }

    void finish(lt::storage_error const& error) {
        if (error) {
            die("an operation has failed: " + error.ec.message());
        }
        --m_outstanding;
    }

    bench_options const& m_options;
    clock::time_point m_next = clock::now(); ///< when the next block may arrive
    lt::disk_interface& m_io;
    lt::io_context& m_context;
    lt::storage_index_t m_storage;
    image_torrent const& m_torrent;
    std::vector<char> m_data;
    std::shared_ptr<observer> m_observer = std::make_shared<observer>();
    int m_outstanding = 0;
};

/// Pieces are opened a few at a time in random order, as a swarm requests them.
std::vector<std::int32_t> piece_order(std::int32_t count, int run) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(count));
    for (std::int32_t i = 0; i < count; ++i) {
        order[static_cast<std::size_t>(i)] = i;
    }
    std::ranges::shuffle(order, std::minstd_rand(static_cast<unsigned>(run) + 7));
    return order;
}

figures run_once(std::string const& name, bench_options const& options, bench_image const& image,
                 fs::path const& folder, int run) {
    auto const torrent = load_image_torrent(image.torrent_file);
    if (!torrent) {
        die(torrent.error().message);
    }
    side kept(name);
    auto const own = options.load == "read" ? image.folder : folder / "target";
    auto device = options.device.empty() ? image.source : options.device;
    if (options.load != "read") {
        auto const target = make_target(own, image);
        if (options.device.empty()) {
            device = target.string();
        }
    }
    lt::session_params params(make_session_settings({}, 256LL << 20));
    kept.open(params, *torrent, device, options.load != "read");
    lt::io_context context;
    auto const keep_running = boost::asio::make_work_guard(context); // otherwise polling would stop it while it is idle
    lt::counters counters;
    auto io = params.disk_io_constructor(context, params.settings, counters);
    // storage_params keeps references to these, which must outlive it.
    auto const save_path = own.string();
    lt::aux::vector<lt::download_priority_t, lt::file_index_t> const priorities;
    lt::storage_holder holder =
        io->new_torrent({torrent->info->orig_files(), nullptr, save_path, lt::storage_mode_sparse, priorities,
                         torrent->info->info_hashes().get_best()},
                        std::shared_ptr<void>());
    driver drive(*io, context, holder, *torrent, options);
    auto const pieces = piece_order(torrent->piece_count, run);
    auto const cpu = process_cpu();
    auto const calls = transfer_calls();
    auto const begin = clock::now();
    auto const open = static_cast<std::size_t>(options.open);
    for (std::size_t i = 0; i < pieces.size(); i += open) {
        auto const some = std::span(pieces).subspan(i, std::min(open, pieces.size() - i));
        if (options.load != "read") {
            drive.write_pieces(some);
        }
        if (options.load != "write") {
            // Mixed: blocks written a while ago, as other peers request them.
            for (auto const piece : some) {
                drive.read_piece(options.load == "read" || i == 0 ? piece : pieces[i - 1 - (piece % i)]);
            }
        }
    }
    drive.drain();
    if (options.load != "read") {
        if (!kept.is_ours() && !kept.is_null()) {
            bool released = false;
            io->async_release_files(holder, [&released] { released = true; });
            io->submit_jobs();
            while (!released) {
                context.run_one();
            }
        }
        kept.make_durable(own);
    }
    auto const seconds = std::chrono::duration<double>(clock::now() - begin).count();
    auto const gib = static_cast<double>(image.size) / (1 << 30);
    figures result;
    result["MiB/s to durable"] = gib * 1024 / seconds;
    result["CPU s/GiB"] = (process_cpu() - cpu) / gib;
    result["read and write calls/GiB"] = (transfer_calls() - calls) / gib;
    if (!drive.write_latency.all.empty()) {
        result["write latency ms, p50"] = drive.write_latency.percentile(0.5);
        result["write latency ms, p99"] = drive.write_latency.percentile(0.99);
    }
    if (!drive.read_latency.all.empty()) {
        result["read latency ms, p50"] = drive.read_latency.percentile(0.5);
        result["read latency ms, p99"] = drive.read_latency.percentile(0.99);
    }
    if (kept.is_ours()) {
        if (auto const runs = kept.image()->runs_written(); runs > 0) {
            result["mean write KiB"] =
                static_cast<double>(kept.image()->bytes_written()) / static_cast<double>(runs) / 1024;
        }
        auto const stats = kept.shared()->cache().stats();
        result["lock contention %"] =
            100 * static_cast<double>(stats.contended) / static_cast<double>(std::max<std::uint64_t>(stats.locks, 1));
    }
    holder.reset();
    io->abort(true);
    context.restart();
    context.poll();
    io.reset();
    return result;
}

} // namespace

void run_backend_bench(bench_options const& options) {
    auto const folder = fs::path(options.folder) / ("seedbed-bench-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    auto const image = make_image(folder / "source", options.size);
    report results("backend, load " + options.load + ", " + std::to_string(options.open) + " pieces at a time" +
                       (options.rate > 0 ? ", " + std::to_string(static_cast<int>(options.rate)) + " MiB/s come" : "") +
                       ": image of " + std::to_string(options.size >> 20) + " MiB in " +
                       (options.device.empty() ? options.folder : options.device),
                   options.sides);
    for (int run = 0; run < options.runs; ++run) {
        for (auto const& name : options.sides) {
            auto const result = run_once(name, options, image, folder, run);
            std::cerr << "run " << run + 1 << ", " << name << ": " << result.at("MiB/s to durable") << " MiB/s\n";
            results.add(name, result);
        }
    }
    std::cout << results.table();
    if (!options.json.empty()) {
        std::ofstream(options.json) << results.json().dump(2) << '\n';
    }
    fs::remove_all(folder);
}

} // namespace seedbed::bench
