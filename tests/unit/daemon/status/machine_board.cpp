#include "daemon/status/machine_board.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "support/sample_room.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

void add_fleet(status_snapshot& snapshot, std::string name, std::vector<fleet_host> hosts) {
    auto more = with_hosts(std::move(hosts)).images.front();
    more.status.name = std::move(name);
    snapshot.images.push_back(std::move(more));
}

} // namespace

TEST_CASE("board: a job and the host at the machine's address are one row") {
    auto host = sample_host("192.0.2.18", host_state::fetching, 0.5);
    host.rate = 512.0 * (1 << 20);
    auto job = a_job(job_state::running, "download", 42);
    job.device = "/dev/nvme0n1";
    auto const board = make_board({configured("PC-17", "192.0.2.18", job)}, with_hosts({host}));
    REQUIRE(board.rows.size() == 1);
    auto const& row = board.rows.front();
    CHECK(row.name == "PC-17");
    CHECK(row.address == "192.0.2.18");
    CHECK(row.state == board_state::running);
    CHECK(row.phase == "download");
    CHECK(row.fraction == Approx(0.42));
    CHECK(row.disk == "/dev/nvme0n1");
    CHECK(row.rate == host.rate);
    CHECK(row.left_seconds == 10); // half of 10 GiB
    CHECK(board.left_seconds == 10);
    CHECK(board.rate == host.rate);
    CHECK(board.count(board_state::running) == 1);
}

TEST_CASE("board: the disk that a host reports, unless the machine's job has named one") {
    auto host = sample_host("192.0.2.18", host_state::verified, 1);
    host.device = "/dev/sdb";
    host.disk_class = storage_class::sata_ssd;
    auto const row = [&host](std::vector<machine_row> const& machines) {
        auto const board = make_board(machines, with_hosts({host}));
        REQUIRE(board.rows.size() == 1);
        return std::pair(board.rows.front().disk, board.rows.front().disk_class);
    };
    using disk = std::pair<std::string, std::optional<storage_class>>;
    CHECK(row({}) == disk("/dev/sdb", storage_class::sata_ssd));
    CHECK(row({configured("PC-17", "192.0.2.18")}) == disk("/dev/sdb", storage_class::sata_ssd));
    auto job = a_job(job_state::running);
    CHECK(row({configured("PC-17", "192.0.2.18", job)}) == disk("auto", std::nullopt));
    job.device = "/dev/nvme0n1";
    job.disk_class = storage_class::nvme;
    CHECK(row({configured("PC-17", "192.0.2.18", job)}) == disk("/dev/nvme0n1", storage_class::nvme));
    host.device.clear(); // of an earlier version
    host.disk_class.reset();
    CHECK(row({configured("PC-17", "192.0.2.18")}) == disk("auto", std::nullopt));
}

TEST_CASE("board: the state of a machine comes from its job") {
    auto const state = [](job_state of_job, host_state of_host) {
        auto const board = make_board({configured("PC-17", "192.0.2.18", a_job(of_job))},
                                      with_hosts({sample_host("192.0.2.18", of_host, 0.5)}));
        REQUIRE(board.rows.size() == 1);
        return board.rows.front().state;
    };
    CHECK(state(job_state::running, host_state::verified) == board_state::running); // hooks run after the deployment
    CHECK(state(job_state::failed, host_state::verified) == board_state::failed);
    CHECK(state(job_state::waiting, host_state::verified) == board_state::waiting); // a new round is ordered
    CHECK(state(job_state::done, host_state::verified) == board_state::done);
    CHECK(state(job_state::refused, host_state::stopped) == board_state::refused);
    CHECK(state(job_state::done, host_state::fetching) == board_state::running); // deployed by hand
}

TEST_CASE("board: machines without a host, and hosts without a machine") {
    auto unknown = configured("", "192.0.2.30");
    auto const board =
        make_board({configured("PC-1", ""), unknown}, with_hosts({
                                                          sample_host("192.0.2.17", host_state::verified, 1),
                                                          sample_host("192.0.2.19", host_state::failed, 0.5),
                                                      }));
    REQUIRE(board.rows.size() == 4);
    CHECK(board.rows[0].name == "192.0.2.19");
    CHECK(board.rows[0].state == board_state::failed);
    CHECK(board.rows[1].name == "PC-1");
    CHECK(board.rows[1].state == board_state::waiting);
    CHECK(board.rows[1].disk == "auto");
    CHECK(board.rows[2].name == "52:54:00:00:00:01");
    CHECK(board.rows[2].state == board_state::no_job);
    CHECK(board.rows[3].name == "192.0.2.17");
    CHECK(board.rows[3].state == board_state::done);
}

TEST_CASE("board: the worst machines come first, each state in its order") {
    auto const board =
        make_board({configured("a", "", a_job(job_state::done)), configured("b", "", a_job(job_state::running)),
                    configured("c", "", a_job(job_state::refused)), configured("d", "", a_job(job_state::failed)),
                    configured("e", "", a_job(job_state::waiting)), configured("f", "", a_job(job_state::failed))},
                   with_hosts({sample_host("192.0.2.1", host_state::stopped, 0.1)}));
    std::string order;
    for (auto const& row : board.rows) {
        order += row.name + " ";
    }
    CHECK(order == "d f c 192.0.2.1 b e a ");
}

TEST_CASE("board: a host in several fleets is one row, of the fleet in which it is under way or was seen last") {
    auto earlier = sample_host("192.0.2.1", host_state::failed, 0.2);
    auto later = sample_host("192.0.2.1", host_state::verified, 1);
    later.seen = earlier.seen + std::chrono::seconds(1);
    auto snapshot = with_hosts({earlier});
    add_fleet(snapshot, "debian", {later});
    auto board = make_board({}, snapshot);
    REQUIRE(board.rows.size() == 1);
    CHECK(board.rows.front().image == "debian");

    add_fleet(snapshot, "z", {sample_host("192.0.2.1", host_state::fetching, 0.2)});
    board = make_board({}, snapshot);
    REQUIRE(board.rows.size() == 1);
    CHECK(board.rows.front().image == "z");
    CHECK(board.rows.front().state == board_state::running);
}

TEST_CASE("board: hosts that share an address are separate rows") {
    auto one = sample_host("192.0.2.1", host_state::fetching, 0.2);
    auto other = one;
    one.name = "192.0.2.1:6881";
    other.name = "192.0.2.1:6882";
    CHECK(make_board({configured("PC-1", "192.0.2.1")}, with_hosts({one, other})).rows.size() == 3);
}

TEST_CASE("board: expected hosts that were not seen are waiting") {
    auto snapshot = with_hosts({});
    fleet_status fleet;
    fleet.not_seen = {"192.0.2.1", "192.0.2.2"};
    fleet.missing = 2;
    snapshot.images.front().fleet = std::make_shared<fleet_status const>(fleet);
    auto board = make_board({configured("PC-1", "192.0.2.1", a_job(job_state::running))}, snapshot);
    REQUIRE(board.rows.size() == 2);
    CHECK(board.rows[1].name == "192.0.2.2");
    CHECK(board.rows[1].phase == "not seen");
    CHECK(board.count(board_state::waiting) == 1);

    fleet.not_seen.clear();
    fleet.missing = 5; // expected by number
    snapshot.images.front().fleet = std::make_shared<fleet_status const>(fleet);
    board = make_board({}, snapshot);
    CHECK(board.rows.empty());
    CHECK(board.count(board_state::waiting) == 5);
    CHECK(board.not_seen == 5);
}

TEST_CASE("board: no time left is shown for a host that hardly moves") {
    auto host = sample_host("192.0.2.18", host_state::fetching, 0.5);
    host.rate = 2;
    auto const board = make_board({}, with_hosts({host}));
    CHECK_FALSE(board.rows.front().left_seconds);
    CHECK_FALSE(board.left_seconds);
}

TEST_CASE("board: the slowest running machines come first, in powers of two, then those that do not download") {
    auto const downloads = [](std::string address, double rate) {
        auto host = sample_host(std::move(address), host_state::fetching, 0.5);
        host.rate = rate;
        return host;
    };
    auto const board = make_board(
        {}, with_hosts({sample_host("192.0.2.1", host_state::unverified, 1), downloads("192.0.2.2", 100e6),
                        downloads("192.0.2.3", 90e6), downloads("192.0.2.4", 3e6), downloads("192.0.2.5", 0)}));
    std::string order;
    for (auto const& row : board.rows) {
        order += row.name.substr(row.name.size() - 1) + " ";
    }
    CHECK(order == "5 4 2 3 1 "); // 100 and 90 MB/s are the same power of two: these rows keep their order
    CHECK(board.rows[0].phase == "stalled");
    CHECK(board.rows[0].state == board_state::running);
    CHECK(board.rows[1].phase == "downloading");
    CHECK(board.rows[1].is_downloading);
    CHECK_FALSE(board.rows[4].is_downloading);
}

TEST_CASE("board: a host that has just begun is not stalled") {
    auto host = sample_host("192.0.2.1", host_state::fetching, 0);
    host.seconds = 29;
    CHECK(make_board({}, with_hosts({host})).rows.front().phase == "downloading");
    host.seconds = 30;
    CHECK(make_board({}, with_hosts({host})).rows.front().phase == "stalled");
}

TEST_CASE("board: the class of a disk is that of the job's device") {
    auto job = a_job(job_state::running);
    job.disk_class = storage_class::nvme;
    CHECK_FALSE(make_board({configured("PC-1", "", job)}, {}).rows.front().disk_class); // of which disk?
    job.device = "/dev/nvme0n1";
    CHECK(make_board({configured("PC-1", "", job)}, {}).rows.front().disk_class == storage_class::nvme);
}

TEST_CASE("board: a machine whose running job is no longer reported is stopped") {
    auto snapshot = with_hosts({});
    snapshot.started = std::chrono::system_clock::from_time_t(1'769'860'000);
    snapshot.taken = snapshot.started + std::chrono::hours(1);
    auto machine = configured("PC-1", "192.0.2.1", a_job(job_state::running, "downloading", 42));
    auto const row = [&] { return make_board({machine}, snapshot).rows.front(); };

    machine.seen = snapshot.taken - silent_machine + std::chrono::seconds(1);
    CHECK(row().state == board_state::running);
    machine.seen = snapshot.taken - silent_machine - std::chrono::seconds(15);
    CHECK(row().state == board_state::stopped);
    CHECK(row().phase == "no report for 1m15s");
    CHECK(row().fraction == 0.42);

    machine.seen.reset(); // not since the daemon started
    CHECK(row().phase == "no report for 1h00m");
    snapshot.taken = snapshot.started + std::chrono::seconds(5);
    CHECK(row().state == board_state::running);

    snapshot.taken = snapshot.started + std::chrono::hours(1);
    machine.job->state = job_state::done;
    CHECK(row().state == board_state::done);

    machine.job->state = job_state::running;
    add_fleet(snapshot, "win11", {sample_host("192.0.2.1", host_state::fetching, 0.5)});
    CHECK(row().state == board_state::stopped);
    add_fleet(snapshot, "win11", {[] {
                  auto host = sample_host("192.0.2.1", host_state::fetching, 0.5);
                  host.seen += std::chrono::hours(1);
                  host.rate = 1000;
                  return host;
              }()});
    CHECK(row().state == board_state::running); // it still downloads
}
