#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>
#include <nlohmann/json.hpp>

#include "benches.hpp"
#include "core/foundation/unique_fd.hpp"
#include "daemon/swarm/session_settings.hpp"
#include "report.hpp"
#include "sides.hpp"

namespace seedbed::bench {

namespace lt = libtorrent;
namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

namespace {

double seconds_since(clock::time_point begin) {
    return std::chrono::duration<double>(clock::now() - begin).count();
}

/// CPU seconds of this process's threads by name, without trailing digits.
std::map<std::string, double> cpu_by_thread() {
    std::map<std::string, double> sums;
    auto const tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
    for (auto const& task : fs::directory_iterator("/proc/self/task")) {
        std::ifstream in(task.path() / "stat");
        std::string line;
        std::getline(in, line);
        auto const open = line.find('(');
        auto const close = line.rfind(')');
        if (open == std::string::npos || close == std::string::npos) {
            continue;
        }
        auto name = line.substr(open + 1, close - open - 1);
        std::istringstream rest(line.substr(close + 2));
        std::string field;
        std::vector<std::string> fields;
        while (rest >> field) {
            fields.push_back(field);
        }
        sums[name] += (std::stod(fields.at(11)) + std::stod(fields.at(12))) / tick;
    }
    return sums;
}

double process_cpu() {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    auto const seconds = [](timeval const& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double peak_rss_mib() {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// A child process that writes one JSON line, and its function.
struct child {
    pid_t pid = -1;
    std::FILE* out = nullptr;
};

template <class Run>
child start(Run const& run) {
    int ends[2];
    if (::pipe(ends) != 0) {
        die(std::string("pipe: ") + std::strerror(errno));
    }
    auto const pid = ::fork();
    if (pid < 0) {
        die(std::string("fork: ") + std::strerror(errno));
    }
    if (pid == 0) {
        ::close(ends[0]);
        run(ends[1]);
        std::_Exit(0);
    }
    ::close(ends[1]);
    return {pid, ::fdopen(ends[0], "r")};
}

void say(int fd, std::string const& line) {
    auto const text = line + "\n";
    if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        die("a pipe is broken");
    }
}

std::string listen_to(child const& from) {
    std::string line;
    for (int c = std::fgetc(from.out); c != EOF && c != '\n'; c = std::fgetc(from.out)) {
        line += static_cast<char>(c);
    }
    return line;
}

nlohmann::json usage(std::map<std::string, double> const& before) {
    auto threads = cpu_by_thread();
    for (auto const& [name, seconds] : before) {
        threads[name] -= seconds;
    }
    return {{"cpu", process_cpu()}, {"rss", peak_rss_mib()}, {"threads", threads}};
}

lt::session_params make_params(int port) {
    network_settings network;
    network.listen = {parse_ip_endpoint("127.0.0.1:" + std::to_string(port)).value()};
    network.local_discovery = false;
    lt::session_params params(make_session_settings(network, 256LL << 20));
    return params;
}

void wait_for(lt::session& session, auto const& wanted) {
    std::vector<lt::alert*> alerts;
    for (;;) {
        session.wait_for_alert(std::chrono::seconds(10));
        session.pop_alerts(&alerts);
        for (auto* alert : alerts) {
            if (auto const* error = lt::alert_cast<lt::torrent_error_alert>(alert)) {
                die(error->message());
            }
            if (auto const* error = lt::alert_cast<lt::file_error_alert>(alert)) {
                die(error->message());
            }
            if (wanted(alert)) {
                return;
            }
        }
    }
}

void run_seeder(int out, std::string const& name, bench_options const& options, bench_image const& image, int port) {
    sigset_t stop;
    ::sigemptyset(&stop);
    ::sigaddset(&stop, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    auto const torrent = load_image_torrent(image.torrent_file);
    if (!torrent) {
        die(torrent.error().message);
    }
    side kept(name);
    kept.tune_process();
    auto params = make_params(port);
    kept.open(params, *torrent, image.source, false);
    lt::session session(params);
    lt::add_torrent_params add;
    add.ti = torrent->info;
    add.save_path = image.folder.string();
    add.flags = lt::torrent_flags::upload_mode;
    if (options.lazy) {
        add.flags |= lt::torrent_flags::seed_mode; // each piece is hashed before it is first sent
        if (kept.is_ours()) {
            kept.image()->verify_before_reads();
        }
    } else {
        add.have_pieces.resize(torrent->piece_count, true);
    }
    auto const handle = session.add_torrent(add);
    wait_for(session,
             [](lt::alert const* alert) { return lt::alert_cast<lt::listen_succeeded_alert>(alert) != nullptr; });
    auto const before = cpu_by_thread();
    auto const cpu_before = process_cpu();
    say(out, "ready");
    int signal = 0;
    ::sigwait(&stop, &signal);
    auto result = usage(before);
    result["cpu"] = result["cpu"].get<double>() - cpu_before;
    if (kept.is_ours()) {
        auto const stats = kept.shared()->cache().stats();
        result["read"] = static_cast<double>(kept.image()->bytes_read());
        result["hits"] = stats.hits;
        result["misses"] = stats.misses;
        result["locks"] = stats.locks;
        result["contended"] = stats.contended;
    }
    say(out, result.dump());
    std::_Exit(0);
}

void run_leecher(int out, std::string const& name, bench_image const& image, fs::path const& folder, int port,
                 std::vector<int> const& peers) {
    auto const torrent = load_image_torrent(image.torrent_file);
    if (!torrent) {
        die(torrent.error().message);
    }
    side kept(name);
    kept.tune_process();
    auto const target = make_target(folder, image);
    auto params = make_params(port);
    kept.open(params, *torrent, target.string(), true);
    lt::session session(params);
    lt::add_torrent_params add;
    add.ti = torrent->info;
    add.save_path = folder.string();
    // An empty bitfield: no piece exists, and no check is needed.
    add.have_pieces.resize(torrent->piece_count, false);
    add.flags = {};
    auto const before = cpu_by_thread();
    auto const cpu_before = process_cpu();
    auto const begin = clock::now();
    auto const handle = session.add_torrent(add);
    for (auto const peer : peers) {
        handle.connect_peer({lt::make_address("127.0.0.1"), static_cast<std::uint16_t>(peer)});
    }
    wait_for(session,
             [](lt::alert const* alert) { return lt::alert_cast<lt::torrent_finished_alert>(alert) != nullptr; });
    auto const downloaded = seconds_since(begin);
    kept.make_durable(folder);
    auto const durable = seconds_since(begin);
    auto result = usage(before);
    result["cpu"] = result["cpu"].get<double>() - cpu_before;
    result["downloaded"] = downloaded;
    result["durable"] = durable;
    say(out, result.dump());
    // Other leechers may still download from this one: it exits on the parent's command.
    sigset_t stop;
    ::sigemptyset(&stop);
    ::sigaddset(&stop, SIGTERM);
    int signal = 0;
    ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    ::sigwait(&stop, &signal);
    std::_Exit(0);
}

void add_threads(figures& run, std::string const& prefix, nlohmann::json const& threads, double gib) {
    for (auto const& [name, seconds] : threads.items()) {
        if (seconds.get<double>() >= 0.01) {
            run["CPU s/GiB, " + prefix + " " + name] += seconds.get<double>() / gib;
        }
    }
}

figures run_once(std::string const& name, bench_options const& options, bench_image const& image,
                 fs::path const& folder, int& port) {
    auto const leechers = options.leechers;
    auto const gib = static_cast<double>(image.size) / (1 << 30);
    auto const seeder_port = port++;
    auto const seeder = start([&](int out) { run_seeder(out, name, options, image, seeder_port); });
    if (listen_to(seeder) != "ready") {
        die(name + ": the seeder did not start");
    }
    std::vector<int> ports{seeder_port};
    std::vector<child> children;
    for (int i = 0; i < leechers; ++i) {
        auto const own = folder / ("leecher" + std::to_string(i));
        fs::remove_all(own);
        fs::create_directories(own);
        auto const own_port = port++;
        children.push_back(start([&](int out) { run_leecher(out, name, image, own, own_port, ports); }));
        ports.push_back(own_port);
    }
    figures run;
    double cpu = 0;
    for (auto const& each : children) {
        auto const line = listen_to(each);
        if (line.empty()) {
            die(name + ": a leecher has failed");
        }
        auto const result = nlohmann::json::parse(line);
        cpu += result["cpu"].get<double>();
        run["seconds to downloaded"] = std::max(run["seconds to downloaded"], result["downloaded"].get<double>());
        run["seconds to durable"] = std::max(run["seconds to durable"], result["durable"].get<double>());
        run["peak RSS MiB, leecher"] = std::max(run["peak RSS MiB, leecher"], result["rss"].get<double>());
        add_threads(run, "leecher", result["threads"], gib * leechers);
    }
    for (auto const& each : children) {
        ::kill(each.pid, SIGTERM);
    }
    ::kill(seeder.pid, SIGTERM);
    auto const result = nlohmann::json::parse(listen_to(seeder));
    cpu += result["cpu"].get<double>();
    add_threads(run, "seeder", result["threads"], gib);
    run["peak RSS MiB, seeder"] = result["rss"].get<double>();
    run["MiB/s to durable, all leechers"] = gib * 1024 * leechers / run["seconds to durable"];
    run["CPU s/GiB, all"] = cpu / gib / leechers;
    if (result.contains("read")) {
        run["device bytes read by the seeder, images"] = result["read"].get<double>() / static_cast<double>(image.size);
        auto const hits = result["hits"].get<double>();
        run["cache hits %, seeder"] = 100 * hits / std::max(1.0, hits + result["misses"].get<double>());
        run["lock contention %, seeder"] =
            100 * result["contended"].get<double>() / std::max(1.0, result["locks"].get<double>());
    }
    for (auto const& each : children) {
        std::fclose(each.out);
        ::waitpid(each.pid, nullptr, 0);
    }
    std::fclose(seeder.out);
    ::waitpid(seeder.pid, nullptr, 0);
    for (int i = 0; i < leechers; ++i) {
        fs::remove_all(folder / ("leecher" + std::to_string(i)));
    }
    return run;
}

} // namespace

void run_swarm_bench(bench_options const& options) {
    auto const folder = fs::path(options.folder) / ("seedbed-bench-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    auto const image = make_image(folder / "source", options.size);
    report results(
        "swarm: 1 seeder, " + std::to_string(options.leechers) + " leecher(s), loopback, " +
            (options.lazy ? "the seeder hashes each piece before it sends it" : "the seeder hashes nothing") +
            ", image of " + std::to_string(options.size >> 20) + " MiB in " + options.folder,
        options.sides);
    int port = 20'000 + static_cast<int>(::getpid() % 20'000);
    for (int run = 0; run < options.runs; ++run) {
        for (auto const& name : options.sides) {
            auto const result = run_once(name, options, image, folder, port);
            std::cerr << "run " << run + 1 << ", " << name << ": " << result.at("MiB/s to durable, all leechers")
                      << " MiB/s\n";
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
