#include "daemon/machine/machine_orders.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/foundation/wall_clock.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using test::temp_dir;

namespace {

std::string const first_mac = "52:54:00:00:00:01";
std::string const second_mac = "52:54:00:00:00:02";

machine_settings wanted(std::string name, std::string mac, std::string serial = "") {
    machine_settings machine;
    machine.name = std::move(name);
    machine.mac = std::move(mac);
    machine.serial = std::move(serial);
    machine.order.image = "win";
    machine.order.grow = {growth::choice::last, 0};
    machine.order.new_ids = true;
    return machine;
}

machine_identity who(std::vector<std::string> macs, std::string serial = "") {
    return {std::move(macs), std::move(serial), "/dev/sda", "10.0.0.5"};
}

struct orders_fixture {
    machine_orders orders;
    std::optional<std::string> unavailable;
    present_time now{wall_clock_now(), std::chrono::steady_clock::now()};

    explicit orders_fixture(machine_order boot = {}) {
        orders.configure({wanted("PC-1", first_mac), wanted("PC-2", "", "S2")}, std::move(boot));
    }
    job_answer ask(machine_identity const& machine) {
        return orders.ask(
            machine, [this](auto const& /*image*/) { return unavailable; }, now);
    }
    std::string report(std::string const& id, job_state state, std::string const& reason = "") {
        auto const taken = orders.report({.id = id, .state = state, .reason = reason}, "10.0.0.5", now);
        return taken ? "" : taken.error().message;
    }
    job_state state_of(std::string const& name) { return orders.job_of(name)->state; }
};

} // namespace

TEST_CASE("a machine gets its job, continues it by the same id, and never runs it again") {
    orders_fixture f;
    CHECK(f.state_of("PC-1") == job_state::waiting);
    auto const given = f.ask(who({second_mac, first_mac}));
    REQUIRE(given.job != nullptr);
    CHECK(given.machine == "PC-1");
    CHECK(given.job->order.image == "win");
    CHECK(given.job->order.disk == "auto");
    CHECK(given.job->order.after == after_deploy::reboot);
    CHECK(f.state_of("PC-1") == job_state::running);
    auto const id = given.job->id;
    CHECK(id.size() == 16);

    auto const again = f.ask(who({first_mac, second_mac})); // the agent was restarted
    REQUIRE(again.job != nullptr);
    CHECK(again.job->id == id);

    CHECK(f.report(id, job_state::done).empty());
    CHECK(f.report(id, job_state::done).empty()); // its answer was lost
    CHECK(f.report(id, job_state::failed) == "the job is done, not running");
    CHECK(f.report(id, job_state::running) == "the job is done, not running");
    auto const after = f.ask(who({first_mac}));
    CHECK(after.job == nullptr);
    CHECK(after.machine == "PC-1");
    CHECK(after.reason == "its job is done; \"seedbed machine redo\" orders it again");
}

TEST_CASE("a refused or failed job does not run again until it is ordered") {
    orders_fixture f;
    auto const end = GENERATE(job_state::refused, job_state::failed);
    auto const id = f.ask(who({}, "S2")).job->id;
    CHECK(f.report(id, end, "too small").empty());
    CHECK(f.orders.job_of("PC-2")->reason == "too small");
    CHECK(f.ask(who({}, "S2")).job == nullptr);

    CHECK(f.orders.redo("PC-2").value() == std::vector<std::string>{"PC-2"});
    auto const next = f.ask(who({}, "S2"));
    REQUIRE(next.job != nullptr);
    CHECK(next.job->id != id);
    CHECK(f.report(id, job_state::done) == "no such job"); // a late report on the old job
}

TEST_CASE("redo orders jobs that have ended, and no others") {
    orders_fixture f;
    CHECK(f.orders.redo("all").value().empty());
    CHECK(f.orders.redo("PC-1").value().empty()); // it waits anyway
    CHECK(f.orders.redo("PC-9").error().message == "no machine has the name \"PC-9\"");
    auto const first = f.ask(who({first_mac})).job->id;
    CHECK(f.orders.redo("PC-1").error().message ==
          "PC-1: its job is running; a new one can be ordered when it has ended");
    CHECK(f.report(first, job_state::done).empty());
    auto const second = f.ask(who({}, "S2")).job->id;
    CHECK(f.orders.redo("all").value() == std::vector<std::string>{"PC-1"});
    CHECK(f.state_of("PC-1") == job_state::waiting);
    CHECK(f.orders.job_of("PC-2")->id == second);
}

TEST_CASE("a running job keeps what it started with, and belongs to one machine") {
    orders_fixture f;
    auto const id = f.ask(who({first_mac}, "twin")).job->id;
    auto changed = wanted("PC-1", "", "twin");
    changed.order.image = "linux";
    changed.order.disk = "nvme";
    f.orders.configure({changed}, {});
    auto const again = f.ask(who({first_mac}, "twin"));
    REQUIRE(again.job != nullptr);
    CHECK(again.job->order.image == "win");
    CHECK(again.job->order.disk == "auto");
    auto const twin = f.ask(who({second_mac}, "twin"));
    CHECK(twin.job == nullptr);
    CHECK(twin.reason == "its job runs on another machine, " + first_mac);
    CHECK(f.report(id, job_state::done).empty());
}

TEST_CASE("a machine that matches two configured ones gets nothing") {
    orders_fixture f;
    auto const answer = f.ask(who({first_mac}, "S2"));
    CHECK(answer.job == nullptr);
    CHECK(answer.reason == "it is both PC-1 and PC-2");
}

TEST_CASE("a machine waits while its image is not served") {
    orders_fixture f;
    f.unavailable = "the image win is not being served";
    auto const answer = f.ask(who({first_mac}));
    CHECK(answer.job == nullptr);
    CHECK(answer.reason == *f.unavailable);
    CHECK(answer.job_waits);
    CHECK(f.state_of("PC-1") == job_state::waiting);
}

TEST_CASE("an unknown machine gets nothing, and is listed") {
    orders_fixture f;
    auto const answer = f.ask(who({"52:54:00:00:00:09"}, "S9"));
    CHECK(answer.job == nullptr);
    CHECK(answer.machine.empty());
    CHECK(answer.reason == "no [[machine]] has its MAC address or serial number");
    auto const rows = f.orders.rows();
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].name == "PC-1");
    CHECK(rows[2].name.empty());
    CHECK(rows[2].mac == "52:54:00:00:00:09");
    CHECK(rows[2].address == "10.0.0.5");
    CHECK(rows[2].disks == "/dev/sda");
    // Once it is configured, it is no longer unknown.
    f.orders.configure({wanted("PC-9", "", "S9")}, {});
    CHECK(f.ask(who({"52:54:00:00:00:09"}, "S9")).machine == "PC-9");
    CHECK(f.orders.rows().size() == 1);
}

TEST_CASE("the number of unknown machines is limited: the one that is silent longest is forgotten") {
    orders_fixture f;
    for (std::size_t i = 0; i <= machine_orders::most_unknown; ++i) {
        f.now.wall += std::chrono::seconds(1);
        CHECK(f.ask(who({}, "X" + std::to_string(i))).job == nullptr);
    }
    auto const rows = f.orders.rows();
    CHECK(rows.size() == 2 + machine_orders::most_unknown);
    CHECK(std::none_of(rows.begin(), rows.end(), [](auto const& row) { return row.serial == "X0"; }));
}

TEST_CASE("[boot] gives unknown machines an image, once") {
    orders_fixture f({.image = "linux", .disk = "largest"});
    auto const answer = f.ask(who({"52:54:00:00:00:09"}));
    REQUIRE(answer.job != nullptr);
    CHECK(answer.machine == "boot:52:54:00:00:00:09");
    CHECK(answer.job->order.image == "linux");
    CHECK(answer.job->order.disk == "largest");
    CHECK(f.report(answer.job->id, job_state::done).empty());
    CHECK(f.ask(who({"52:54:00:00:00:09"})).job == nullptr);
    CHECK(f.orders.redo("boot:52:54:00:00:00:09").value().size() == 1);
    for (std::size_t i = 1; i < machine_orders::most_unknown; ++i) {
        CHECK(f.ask(who({}, "X" + std::to_string(i))).job != nullptr);
    }
    CHECK(f.ask(who({}, "one too many")).job == nullptr);
}

TEST_CASE("the record restores every job") {
    orders_fixture f;
    auto const id = f.ask(who({first_mac})).job->id;
    auto const second = f.ask(who({}, "S2")).job->id;
    CHECK(f.report(second, job_state::refused, "no disk").empty());
    temp_dir const folder;
    auto const file = folder / "machines.json";
    auto const record = format_job_record(f.orders.jobs());
    std::ofstream(file) << record;

    orders_fixture restarted;
    restarted.orders.restore(load_job_record(file).value());
    CHECK(format_job_record(restarted.orders.jobs()) == record);
    CHECK(restarted.orders.machine_of(id) == "PC-1");
    auto const again = restarted.ask(who({first_mac}));
    CHECK(again.job->id == id);
    CHECK(again.job->order == f.orders.job_of("PC-1")->order);
    CHECK(restarted.ask(who({}, "S2")).job == nullptr);
    CHECK(restarted.orders.job_of("PC-2")->reason == "no disk");

    SECTION("a machine that is not configured for a while does not run again") {
        restarted.orders.configure({}, {});
        CHECK(restarted.orders.rows().empty());
        restarted.orders.configure({wanted("PC-2", "", "S2")}, {});
        CHECK(restarted.ask(who({}, "S2")).job == nullptr);
    }
    SECTION("a damaged job makes the record damaged") {
        auto damaged = nlohmann::json::parse(record);
        damaged["jobs"]["PC-1"]["state"] = "running?";
        std::ofstream(file) << damaged;
        CHECK(load_job_record(file).error().message == "the record of jobs is damaged: " + file.string());
    }
}

TEST_CASE("the duration of a job does not depend on the system clock") {
    orders_fixture f;
    auto const id = f.ask(who({first_mac})).job->id;
    f.now.wall -= std::chrono::minutes(10);
    f.now.steady += std::chrono::milliseconds(90'500);
    CHECK(f.orders.report({.id = id, .state = job_state::done, .taken = std::chrono::milliseconds(80'000)}, "", f.now));
    CHECK(f.orders.job_of("PC-1")->taken == std::chrono::milliseconds(90'500));
    CHECK(f.orders.job_of("PC-1")->ended == f.now.wall);

    auto const second = f.ask(who({}, "S2")).job->id;
    auto jobs = f.orders.jobs();
    jobs.at("PC-2").began.reset(); // as the record, after a restart
    f.orders.restore(jobs);
    CHECK(f.orders.report({.id = second, .state = job_state::done, .taken = std::chrono::milliseconds(80'000)}, "",
                          f.now));
    CHECK(f.orders.job_of("PC-2")->taken == std::chrono::milliseconds(80'000)); // as its agent has measured

    // An agent that was restarted has measured only the rest.
    CHECK(f.orders.redo("PC-2"));
    auto const third = f.ask(who({}, "S2")).job->id;
    jobs = f.orders.jobs();
    jobs.at("PC-2").began.reset();
    f.orders.restore(jobs);
    CHECK(f.ask(who({}, "S2")).job->id == third);
    CHECK(f.orders.report({.id = third, .state = job_state::done, .taken = std::chrono::milliseconds(80)}, "", f.now));
    CHECK_FALSE(f.orders.job_of("PC-2")->taken);
}

TEST_CASE("every change of a state counts, and progress does not") {
    orders_fixture f;
    auto before = f.orders.changes();
    auto const id = f.ask(who({first_mac})).job->id;
    CHECK(f.orders.changes() == before + 1);
    CHECK(f.orders.report({.id = id, .phase = "downloading", .percent = 43}, "10.0.0.5", f.now));
    CHECK(f.orders.changes() == before + 1);
    CHECK(f.orders.job_of("PC-1")->percent == 43);
    CHECK(f.report(id, job_state::done).empty());
    CHECK(f.orders.changes() == before + 2);
}
