#include "daemon/fleet/fleet_watch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/foundation/worker_pool.hpp"
#include "daemon/fleet/fleet_store.hpp"
#include "daemon/log/logging.hpp"
#include "support/endpoints.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using seedbed::test::temp_dir;
using event = announcement::event_kind;
using lines = std::vector<std::string>;

namespace {

info_hash hash_of(char digit) {
    return info_hash::from_hex(std::string(40, digit)).value();
}

info_hash const served = info_hash::from_hex("00112233445566778899aabbccddeeff00112233").value();
info_hash const other = hash_of('f');

fleet_settings expect(int hosts) {
    fleet_settings wanted;
    wanted.expect = hosts;
    return wanted;
}

fleet_watch::image image_of(fleet_settings const& settings, std::string const& name = "sda1",
                            info_hash const& hash = served) {
    fleet_watch::image made;
    made.name = name;
    made.hashes = {hash};
    made.total_bytes = 1000;
    made.settings = settings;
    return made;
}

struct fixture {
    boost::asio::io_context context{1};
    lines logged;
    std::vector<std::string> asked; ///< images whose peers were requested
    std::vector<peer_status> peers; ///< the answer
    std::optional<fleet_watch> subject;

    fixture() {
        start_logging(log_level::info, [this](log_level, std::string_view line) { logged.emplace_back(line); });
        subject.emplace(
            context,
            [this](std::string const& name, fleet_watch::peers_handler const& call) {
                asked.push_back(name);
                call(peers);
            },
            nullptr, 5ms);
    }
    fixture(fixture const&) = delete;
    fixture& operator=(fixture const&) = delete;
    ~fixture() { start_logging(log_level::info); }

    void follow(std::vector<fleet_watch::image> const& images) { subject->set_images(images, 100); }
    void announce(int host, std::int64_t left, event what = event::none, info_hash const& hash = served) {
        announcement said;
        said.info_hash = hash;
        said.peer_id = "-AA0000-host-" + std::to_string(1000000 + host);
        said.peer = {boost::asio::ip::make_address("10.0.0." + std::to_string(host)), 6881};
        said.left = left;
        said.event = what;
        subject->on_announce(said, 60s);
    }
    /// From its first announce to its last.
    void deploy(int host) {
        announce(host, 1000, event::started);
        announce(host, 0, event::completed);
    }
    [[nodiscard]] std::size_t count(std::string const& part) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            logged, [&](std::string const& line) { return line.find(part) != std::string::npos; }));
    }
    template <class Condition>
    bool await(Condition reached) {
        auto const end = std::chrono::steady_clock::now() + 20s;
        while (!reached() && std::chrono::steady_clock::now() < end && !context.stopped()) {
            context.run_one_until(end);
        }
        return reached();
    }
};

/// Appends its standard input to a file, and a line for each run.
struct recording_hook {
    temp_dir folder;

    [[nodiscard]] std::vector<std::string> command() const {
        return {"/bin/sh", "-c",
                "cat >" + (folder / "document").string() + "; echo run >>" + (folder / "runs").string()};
    }
    [[nodiscard]] std::size_t runs() const {
        std::ifstream file(folder / "runs");
        std::string line;
        std::size_t count = 0;
        while (std::getline(file, line)) {
            ++count;
        }
        return count;
    }
    [[nodiscard]] nlohmann::json document() const {
        std::ifstream file(folder / "document");
        return nlohmann::json::parse(file, nullptr, false);
    }
};

} // namespace

TEST_CASE("fleet watch: the lines of a fleet are logged under the name of its image") {
    fixture f;
    f.follow({image_of(expect(1))});
    f.deploy(1);
    REQUIRE(f.logged.size() == 2); // "after 0s", unless this thread was stopped in between
    CHECK_THAT(f.logged[0],
               Catch::StartsWith("sda1: 1/1 complete (10.0.0.1 after ") && Catch::EndsWith("s, has all pieces)"));
    CHECK_THAT(f.logged[1], Catch::StartsWith("sda1: deployment complete: 1/1 in "));
}

TEST_CASE("fleet watch: an announce counts for the image of its info-hash, whichever of its hashes that is") {
    fixture f;
    auto two_hashes = image_of(expect(2));
    two_hashes.hashes.push_back(other);
    f.follow({two_hashes, image_of(expect(2), "sda2", hash_of('1'))});
    f.deploy(1);
    f.announce(2, 1000, event::started, other);
    f.announce(3, 1000, event::started, hash_of('2'));
    REQUIRE(f.subject->status("sda1"));
    CHECK(f.subject->status("sda1")->hosts.size() == 2);
    CHECK(f.subject->status("sda1")->complete == 1);
    CHECK(f.subject->status("sda2")->hosts.empty());
    CHECK(f.subject->status("sda3") == nullptr);
    CHECK(f.subject->find("sda3") == nullptr);
}

TEST_CASE("fleet watch: a report counts, and one of an unknown image is refused") {
    fixture f;
    f.follow({image_of(expect(1))});
    host_report report;
    report.host = {boost::asio::ip::make_address("10.0.0.1"), 6881};
    report.outcome = host_report::outcome_kind::verified;
    CHECK_FALSE(f.subject->on_report(other, report));
    CHECK(f.logged.empty());
    CHECK(f.subject->on_report(served, report));
    CHECK(f.count("1/1 complete (10.0.0.1 after 0s, verified)") == 1);
}

TEST_CASE("fleet watch: the hook runs once per round, with the document of that round") {
    fixture f;
    recording_hook const hook;
    auto wanted = expect(2);
    wanted.on_complete = hook.command();
    f.follow({image_of(wanted)});
    f.deploy(1);
    CHECK(f.count("running") == 0);
    f.deploy(2);
    REQUIRE(f.await([&] { return f.count("exit status 0 after") == 1; }));
    auto const document = hook.document();
    CHECK(document["format"] == 1);
    CHECK(document["image"] == "sda1");
    CHECK(document["info_hash"] == served.to_hex());
    CHECK(document["complete"] == 2);
    CHECK(document["hosts"].size() == 2);

    f.announce(2, 0, event::completed);
    f.follow({image_of(wanted)});
    CHECK(f.count("running /bin/sh") == 1);

    f.announce(1, 1000, event::started);
    CHECK(f.count("new round: 10.0.0.1 has started") == 1);
    f.announce(1, 0, event::completed);
    f.deploy(2);
    REQUIRE(f.await([&] { return f.count("exit status 0 after") == 2; }));
    CHECK(hook.runs() == 2);
}

TEST_CASE("fleet watch: a hook that fails is logged with the last line of its standard error") {
    fixture f;
    auto wanted = expect(1);
    wanted.on_complete = {"/bin/sh", "-c", "echo no such printer >&2; exit 3"};
    f.follow({image_of(wanted)});
    f.deploy(1);
    REQUIRE(f.await([&] { return f.count("exit status 3 after") == 1; }));
    CHECK_THAT(f.logged.back(),
               Catch::StartsWith("sda1: /bin/sh: exit status 3") && Catch::EndsWith(": no such printer"));
}

TEST_CASE("fleet watch: expected addresses, and no others, complete a deployment") {
    fixture f;
    recording_hook const hook;
    fleet_settings wanted;
    wanted.expect_hosts = test::addresses({"10.0.0.1", "10.0.0.2"});
    wanted.on_complete = hook.command();
    f.follow({image_of(wanted)});
    f.deploy(1);
    f.deploy(3);
    CHECK(f.count("deployment complete") == 0);
    CHECK(f.count("1/2 complete (10.0.0.3 after ") == 1);
    CHECK(f.count("s, has all pieces; not expected)") == 1);
    f.deploy(2);
    CHECK(f.count("deployment complete: 2/2") == 1);
    CHECK(f.await([&] { return hook.runs() == 1; }));
}

TEST_CASE("fleet watch: a reload that expects less can complete a deployment") {
    fixture f;
    f.follow({image_of(expect(3))});
    f.deploy(1);
    f.deploy(2);
    CHECK(f.count("deployment complete") == 0);
    f.follow({image_of(expect(2))});
    CHECK(f.count("deployment complete: 2/2") == 1);
}

TEST_CASE("fleet watch: an image keeps its hosts through reloads and while it is closed") {
    fixture f;
    f.follow({image_of(expect(3))});
    f.deploy(1);
    auto closed = image_of(expect(3));
    closed.hashes.clear();
    f.follow({closed});
    REQUIRE(f.subject->find("sda1") != nullptr);
    CHECK(f.subject->find("sda1")->complete() == 1);
    f.follow({image_of(expect(3))});
    CHECK(f.subject->find("sda1")->complete() == 1);
}

TEST_CASE("fleet watch: an image with another info-hash, or none, starts over") {
    fixture f;
    f.follow({image_of(expect(3))});
    f.deploy(1);
    f.follow({image_of(expect(3), "sda1", other)});
    CHECK(f.subject->find("sda1")->complete() == 0);
    f.follow({});
    CHECK(f.subject->find("sda1") == nullptr);
    auto closed = image_of(expect(3));
    closed.hashes.clear();
    f.follow({closed}); // never open: nothing to follow
    CHECK(f.subject->find("sda1") == nullptr);
}

TEST_CASE("fleet watch: after a connection the peers of images in the swarm are requested three times") {
    fixture f;
    auto in_swarm = image_of(expect(3));
    in_swarm.in_swarm = true;
    f.follow({in_swarm, image_of(expect(3), "sda2", other)});
    CHECK(f.asked.empty());
    f.subject->wake();
    f.context.run_for(20s); // returns when no timer is left
    CHECK(f.context.stopped());
    CHECK(f.asked == lines{"sda1", "sda1", "sda1"});
}

TEST_CASE("fleet watch: peers are requested while one is connected") {
    fixture f;
    auto in_swarm = image_of(expect(3));
    in_swarm.in_swarm = true;
    f.follow({in_swarm});
    peer_status peer;
    peer.address = "10.0.0.1";
    peer.port = 6881;
    peer.id = "2d4141303030302d686f73742d31303030303031";
    peer.fraction = 0.5;
    f.peers = {peer};
    f.subject->wake();
    REQUIRE(f.await([&] { return f.asked.size() > 6; }));
    REQUIRE(f.subject->status("sda1")->hosts.size() == 1);
    CHECK(f.subject->status("sda1")->hosts.front().connected);
}

TEST_CASE("fleet watch: peers are requested while a host is in progress, and no more when it stops") {
    fixture f;
    auto in_swarm = image_of(expect(3));
    in_swarm.in_swarm = true;
    f.follow({in_swarm});
    f.announce(1, 1000, event::started);
    REQUIRE(f.await([&] { return f.asked.size() > 6; }));
    f.subject->stop();
    auto const until_then = f.asked.size();
    f.context.run_for(50ms);
    CHECK(f.asked.size() == until_then);
    f.subject->wake();
    f.context.restart();
    f.context.run_for(50ms);
    CHECK(f.asked.size() == until_then);
}

TEST_CASE("fleet watch: stopping ends a hook, and starts no other") {
    fixture f;
    auto wanted = expect(1);
    wanted.on_complete = {"/bin/sh", "-c", "exec sleep 1000"};
    f.follow({image_of(wanted), image_of(wanted, "sda2", other)});
    f.deploy(1);
    CHECK(f.count("running /bin/sh") == 1);
    f.subject->stop();
    REQUIRE(f.await([&] { return f.count("sda1: /bin/sh: timed out: killed by signal 15") == 1; }));
    f.announce(1, 1000, event::started, other);
    f.announce(1, 0, event::completed, other);
    CHECK(f.count("sda2: deployment complete") == 1);
    CHECK(f.count("running /bin/sh") == 1);
}

TEST_CASE("fleet watch: peers that arrive after its end are ignored") {
    boost::asio::io_context context{1};
    std::vector<fleet_watch::peers_handler> pending;
    std::optional<fleet_watch> subject;
    subject.emplace(
        context, [&](std::string const&, fleet_watch::peers_handler call) { pending.push_back(std::move(call)); },
        nullptr, 1ms);
    auto in_swarm = image_of(expect(1));
    in_swarm.in_swarm = true;
    subject->set_images({in_swarm}, 100);
    subject->wake();
    context.run_for(20s);
    REQUIRE(pending.size() == 3);
    subject->set_images({}, 100);
    pending[0]({peer_status{}}); // of an image that is no longer followed
    CHECK(subject->find("sda1") == nullptr);
    subject.reset();
    pending[1]({peer_status{}});
}

TEST_CASE("fleet watch: counts survive a restart, and a hook that has run does not run again") {
    temp_dir folder;
    recording_hook hook;
    auto wanted = expect(2);
    wanted.on_complete = hook.command();
    auto const report = [](fleet_watch& watch, int host) {
        host_report said;
        said.host = {boost::asio::ip::make_address("10.0.0." + std::to_string(host)), 6881};
        said.outcome = host_report::outcome_kind::verified;
        CHECK(watch.on_report(served, said));
    };
    for (int run = 1; run <= 3; ++run) {
        fixture f;
        auto const work = boost::asio::make_work_guard(f.context);
        worker_pool workers("test", 1);
        fleet_store store(f.context, workers, folder.path().string());
        f.subject.emplace(
            f.context, [](auto const&, auto const&) {}, &store);
        f.follow({image_of(wanted)});
        auto const before = static_cast<std::size_t>(run - 1);
        auto const line = std::to_string(before) + (before == 1 ? " host" : " hosts") + " complete before the restart";
        bool read = false;
        store.load("other", served, [&read](auto const&) { read = true; }); // after the image's
        CHECK(f.await([&read] { return read; }));
        CHECK(f.count("sda1: " + line) == (before == 0 ? 0 : 1));
        CHECK(f.subject->find("sda1")->complete() == before);
        if (run <= 2) {
            report(*f.subject, run);
        }
        CHECK(f.await([&] { return run == 1 || hook.runs() == 1; }));
        CHECK(f.count("deployment complete") == (run == 2 ? 1 : 0));
        f.subject->stop();
        f.subject.reset();
    }
    CHECK(hook.runs() == 1);
}

TEST_CASE("fleet watch: a damaged record is logged with its file, and replaced at the next change") {
    temp_dir folder;
    fixture f;
    auto const work = boost::asio::make_work_guard(f.context);
    worker_pool workers("test", 1);
    fleet_store store(f.context, workers, folder.path().string());
    std::ofstream(store.file_of("sda1", served)) << "{";
    f.subject.emplace(
        f.context, [](auto const&, auto const&) {}, &store);
    f.follow({image_of(expect(2))});
    f.deploy(1);
    CHECK(
        f.await([&] { return f.count("cannot restore the counts of hosts: " + store.file_of("sda1", served)) == 1; }));
    f.subject->stop();
    std::string saved;
    store.load("sda1", served, [&saved](auto const& record) { saved = record.value()->text(); });
    CHECK(f.await([&] { return saved.find("10.0.0.1") != std::string::npos; }));
}

TEST_CASE("fleet watch: thousands of restored hosts do not hold up the main thread") {
    constexpr std::size_t hosts = 5000;
    temp_dir folder;
    fixture f;
    auto const work = boost::asio::make_work_guard(f.context);
    worker_pool workers("test", 1);
    fleet_store store(f.context, workers, folder.path().string());
    saved_fleet record;
    record.damaged = 0;
    for (unsigned i = 0; i < hosts; ++i) {
        auto& host = record.hosts.emplace_back();
        host.addresses = {boost::asio::ip::address_v4(0x0a000000U + i)};
        host.state = host_state::verified;
    }
    std::ofstream(store.file_of("sda1", served)) << record.text();
    f.subject.emplace(
        f.context, [](auto const&, auto const&) {}, &store);
    f.subject->set_images({image_of(expect(2 * hosts))}, hosts);
    std::size_t longest = 0; // hosts in one call
    CHECK(f.await([&, before = std::size_t{0}]() mutable {
        auto const complete = f.subject->find("sda1")->complete();
        longest = std::max(longest, complete - std::exchange(before, complete));
        return complete == hosts;
    }));
    CHECK(longest <= 256);
    CHECK(f.count("5000 hosts complete before the restart") == 1);
}

TEST_CASE("fleet store: the text of a record is made on a worker") {
    temp_dir folder;
    fixture f;
    auto const work = boost::asio::make_work_guard(f.context);
    worker_pool workers("test", 1);
    fleet_store store(f.context, workers, folder.path().string());
    std::atomic<std::thread::id> maker{std::this_thread::get_id()};
    store.save("sda1", served, [&maker] {
        maker = std::this_thread::get_id();
        return std::string(R"({"format":1,"hosts":[]})");
    });
    bool saved = false;
    store.load("sda1", served, [&saved](auto const& record) { saved = record.value() != nullptr; }); // after it
    CHECK(f.await([&saved] { return saved; }));
    CHECK(maker.load() != std::this_thread::get_id());
}

TEST_CASE("fleet watch: a folder that cannot be written is logged once") {
    temp_dir folder;
    fixture f;
    worker_pool workers("test", 1);
    std::ofstream(folder / "file") << "x";
    fleet_store store(f.context, workers, (folder / "file").string());
    f.subject.emplace(
        f.context, [](auto const&, auto const&) {}, &store);
    f.follow({image_of(expect(2))});
    auto const work = boost::asio::make_work_guard(f.context);
    store.save("a", served, [] { return std::string("x"); });
    store.save("b", served, [] { return std::string("x"); });
    store.load("c", served, [&f](auto const&) { f.logged.emplace_back("read"); }); // after the others
    CHECK(f.await([&] { return f.count("read") == 1; }));
    CHECK(f.count("the counts of hosts will not survive a restart") == 1);
}
