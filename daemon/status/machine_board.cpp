#include "daemon/status/machine_board.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

/// Longer than any deployment; a rate close to zero says nothing.
constexpr double longest_left = 30.0 * 24 * 3600;

/// A host of a fleet, with the fleet's image.
struct placed_host {
    fleet_host const* host = nullptr;
    image_status const* image = nullptr;
};

bool is_under_way(fleet_host const& host) {
    return host.state == host_state::fetching || host.state == host_state::unverified;
}

bool is_shown_before(placed_host const& a, placed_host const& b) {
    return std::tuple(is_under_way(*a.host), a.host->seen) > std::tuple(is_under_way(*b.host), b.host->seen);
}

/// The hosts by name, each in one fleet.
std::map<std::string, placed_host> hosts_by_name(status_snapshot const& snapshot) {
    std::map<std::string, placed_host> hosts;
    for (auto const& image : snapshot.images) {
        if (!image.fleet) {
            continue;
        }
        for (auto const& host : image.fleet->hosts) {
            placed_host const found{&host, &image.status};
            auto const [at, is_new] = hosts.try_emplace(host.name, found);
            if (!is_new && is_shown_before(found, at->second)) {
                at->second = found;
            }
        }
    }
    return hosts;
}

board_state state_of_host(host_state state) {
    switch (state) {
    case host_state::failed:
        return board_state::failed;
    case host_state::refused:
        return board_state::refused;
    case host_state::stopped:
        return board_state::stopped;
    case host_state::fetching:
    case host_state::unverified:
        return board_state::running;
    default:
        return board_state::done;
    }
}

char const* phase_of_host(fleet_host const& host) {
    switch (host.state) {
    case host_state::fetching:
        return "downloading";
    case host_state::unverified:
        return "verifying";
    case host_state::pieces:
        return "complete";
    case host_state::durable:
        return "written";
    case host_state::stopped:
        return host.away_seconds ? "lost" : "stopped";
    default:
        return to_string(host.state); // verified, failed, refused
    }
}

board_state state_of_job(job_state state) {
    switch (state) {
    case job_state::waiting:
        return board_state::waiting;
    case job_state::running:
        return board_state::running;
    case job_state::done:
        return board_state::done;
    case job_state::refused:
        return board_state::refused;
    default:
        return board_state::failed;
    }
}

void fill_from_host(board_row& row, placed_host const& from) {
    auto const& host = *from.host;
    row.image = from.image->name;
    row.state = state_of_host(host.state);
    row.phase = phase_of_host(host);
    row.fraction = host.fraction;
    row.reason = host.failure;
    if (!host.device.empty()) {
        row.disk = host.device;
        row.disk_class = host.disk_class;
    }
}

void fill_rate(board_row& row, placed_host const& from) {
    row.rate = from.host->rate;
    row.is_downloading = from.host->state == host_state::fetching;
    if (row.is_downloading && row.rate < 1 && from.host->seconds >= std::chrono::seconds(stalled_machine).count()) {
        row.phase = "stalled";
    }
    if (!row.is_downloading || row.rate < 1 || !from.host->fraction) {
        return;
    }
    auto const left = (1 - *from.host->fraction) * static_cast<double>(from.image->total_bytes) / row.rate;
    if (left < longest_left) {
        row.left_seconds = static_cast<std::int64_t>(std::ceil(left));
    }
}

void fill_from_job(board_row& row, machine_job const& job) {
    row.state = state_of_job(job.state);
    row.phase = job.phase.empty() ? to_string(job.state) : job.phase;
    row.reason = job.reason;
    if (!job.device.empty()) {
        row.disk = job.device;
        row.disk_class = job.disk_class;
    }
    if (job.state == job_state::done) {
        row.fraction = 1;
    } else if (job.percent >= 0 && job.state != job_state::waiting) {
        row.fraction = job.percent / 100.0;
    }
}

void merge_host(board_row& row, machine_row const& machine, placed_host const& host) {
    auto const runs = machine.job && machine.job->state == job_state::running;
    auto const is_moving = is_under_way(*host.host);
    if (!machine.job || (!runs && is_moving)) { // deployed without a job
        fill_from_host(row, host);
    } else if (runs && is_moving && !row.fraction) {
        row.fraction = host.host->fraction;
    }
    if (row.state == board_state::running) {
        fill_rate(row, host);
    }
}

/// \param silent how long it has not reported, in seconds.
void show_silence(board_row& row, double silent) {
    row.state = board_state::stopped;
    row.phase = "no report for " + format_duration(silent);
    row.rate = 0;
    row.is_downloading = false;
    row.left_seconds.reset();
}

board_row row_of_machine(machine_row const& machine, placed_host const* host, status_snapshot const& snapshot) {
    board_row row{machine.name, machine.mac, machine.address, machine.image};
    row.is_machine = !machine.name.empty();
    row.disk = machine.disk;
    row.state = machine.name.empty() ? board_state::no_job : board_state::waiting;
    row.phase = machine.name.empty() ? "unknown machine" : "waiting";
    if (row.name.empty()) {
        row.name = !machine.mac.empty() ? machine.mac : machine.serial;
    }
    if (machine.job) {
        fill_from_job(row, *machine.job);
    }
    if (host != nullptr) {
        merge_host(row, machine, *host);
    }
    auto const silent = snapshot.taken - std::max(machine.seen.value_or(snapshot.started), snapshot.started);
    if (machine.job && machine.job->state == job_state::running && row.rate == 0 && silent >= silent_machine) {
        show_silence(row, std::chrono::duration<double>(silent).count());
    }
    return row;
}

board_row row_of_host(placed_host const& from) {
    board_row row{from.host->name, {}, from.host->address};
    fill_from_host(row, from);
    fill_rate(row, from);
    return row;
}

/// The expected addresses that no fleet and no machine has shown.
void add_not_seen(machine_board& board, status_snapshot const& snapshot, std::set<std::string> shown) {
    for (auto const& image : snapshot.images) {
        if (!image.fleet) {
            continue;
        }
        for (auto const& address : image.fleet->not_seen) {
            if (shown.insert(address).second) {
                board_row row{address, {}, address, image.status.name};
                row.phase = "not seen";
                board.rows.push_back(std::move(row));
            }
        }
        board.not_seen += image.fleet->missing - std::min(image.fleet->missing, image.fleet->not_seen.size());
    }
}

/// The order of rows: state, then of running machines the slowest. Hundreds of machines have nearly the same rate.
std::tuple<board_state, bool, int> badness(board_row const& row) {
    auto const moves = row.state == board_state::running && row.is_downloading;
    return {row.state, !moves, moves && row.rate >= 1 ? std::ilogb(row.rate) + 1 : 0};
}

void count(machine_board& board) {
    for (auto const& row : board.rows) {
        ++board.counts.at(static_cast<std::size_t>(row.state));
        board.rate += row.rate;
        if (row.left_seconds) {
            board.left_seconds = std::max(board.left_seconds.value_or(0), *row.left_seconds);
        }
    }
    board.counts.at(static_cast<std::size_t>(board_state::waiting)) += board.not_seen;
}

} // namespace

char const* to_string(board_state state) noexcept {
    switch (state) {
    case board_state::failed:
        return "failed";
    case board_state::refused:
        return "refused";
    case board_state::stopped:
        return "stopped";
    case board_state::running:
        return "running";
    case board_state::waiting:
        return "waiting";
    case board_state::no_job:
        return "no job";
    case board_state::done:
        break;
    }
    return "done";
}

machine_board make_board(std::vector<machine_row> const& machines, status_snapshot const& snapshot) {
    auto hosts = hosts_by_name(snapshot);
    machine_board board;
    board.rows.reserve(machines.size() + hosts.size());
    std::set<std::string> shown;
    for (auto const& machine : machines) {
        // A host whose name has a port shares its address with others: which of them is this machine is unknown.
        auto const at = machine.address.empty() ? hosts.end() : hosts.find(machine.address);
        board.rows.push_back(row_of_machine(machine, at == hosts.end() ? nullptr : &at->second, snapshot));
        if (at != hosts.end()) {
            hosts.erase(at);
        }
        shown.insert(machine.address);
    }
    for (auto const& [name, host] : hosts) {
        board.rows.push_back(row_of_host(host));
        shown.insert(host.host->address);
    }
    add_not_seen(board, snapshot, std::move(shown));
    std::ranges::stable_sort(board.rows, {}, badness);
    count(board);
    return board;
}

} // namespace seedbed
