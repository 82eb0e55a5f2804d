#include "daemon/service/app.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include "daemon/status/status_client.hpp"
#include "unit/daemon/service/running_app.hpp"

using namespace seedbed;
using namespace seedbed::test;
using Catch::EndsWith;
using Catch::StartsWith;
using strings = std::vector<std::string>;

namespace {

constexpr char const* as_target = "mode = \"deploy\"\n";

int checkpoints_in(std::filesystem::path const& folder) {
    return static_cast<int>(std::ranges::count_if(std::filesystem::directory_iterator(folder), [](auto const& entry) {
        return entry.path().extension() == ".resume";
    }));
}

void await_checkpoint_in(std::filesystem::path const& folder) {
    auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (checkpoints_in(folder) == 0) {
        REQUIRE(std::chrono::steady_clock::now() < until);
    }
}

} // namespace

TEST_CASE("a reload opens, closes and updates images and leaves the others alone") {
    running_app daemon;
    daemon.images = {daemon.image("kept"), daemon.image("gone"), daemon.image("changed")};
    daemon.start();
    CHECK(daemon.names_in(image_state::seeding) == strings{"changed", "gone", "kept"});

    daemon.images = {daemon.image("kept"), daemon.image("changed", "mode = \"seed\"\nupload_limit = 100000\n"),
                     daemon.image("new")};
    CHECK_THAT(daemon.reload(), EndsWith("reload: 1 image closed, 1 opened, 1 changed in use"));
    daemon.await("ready");
    CHECK(daemon.names_in(image_state::seeding) == strings{"changed", "kept", "new"});
    CHECK(daemon.lines("gone: closed").size() == 1);
    CHECK(daemon.lines(" closed").size() == 1);

    CHECK_THAT(daemon.reload(), EndsWith("reload: 0 images closed, 0 opened, 0 changed in use: nothing differs"));
    CHECK(daemon.stop() == exit_ok);
}

TEST_CASE("a reload over the control socket ends when the new images are open, or says why nothing has changed") {
    running_app daemon;
    daemon.images = {daemon.image("first")};
    daemon.start();
    auto const socket = daemon.file("control").string();
    daemon.images.push_back(daemon.image("second"));
    daemon.write_config();
    auto const applied = ask_for_reload(socket, std::chrono::seconds(20));
    REQUIRE(applied);
    CHECK(applied->value() == reload_outcome{});
    CHECK(daemon.names_in(image_state::seeding) == strings{"first", "second"});

    daemon.other = "[nonsense]\n";
    daemon.write_config();
    auto const refused = ask_for_reload(socket, std::chrono::seconds(20));
    REQUIRE(refused);
    REQUIRE(refused->value().errors.size() == 1);
    CHECK_THAT(refused->value().errors.front(), Catch::Contains("nonsense"));
    CHECK(daemon.names_in(image_state::seeding) == strings{"first", "second"});
    CHECK(daemon.stop() == exit_ok);
    CHECK(ask_for_reload(socket, std::chrono::seconds(20)) == std::nullopt);
}

TEST_CASE("a reload opens an image again if it has failed or its .torrent has changed") {
    running_app daemon;
    daemon.images = {daemon.image("same"), daemon.image("other"), daemon.image("failed")};
    std::filesystem::rename(daemon.file("failed.img"), daemon.file("away"));
    daemon.start();
    CHECK(daemon.lines("failed: failed: ").size() == 1);
    std::filesystem::rename(daemon.file("away"), daemon.file("failed.img"));
    daemon.write_torrent("same", "same");
    daemon.write_torrent("other", "renamed");
    auto const hash_of = [&daemon](std::string const& name) {
        for (auto const& image : daemon.status().images) {
            if (image.status.name == name) {
                return image.status.info_hash;
            }
        }
        return std::optional<info_hash>();
    };
    auto const same = hash_of("same");
    auto const before = hash_of("other");

    CHECK_THAT(daemon.reload(), EndsWith("reload: 2 images closed, 2 opened, 0 changed in use"));
    daemon.await("ready");
    CHECK(daemon.names_in(image_state::seeding) == strings{"failed", "other", "same"});
    CHECK(hash_of("other") != before);
    CHECK(hash_of("same") == same);
    CHECK_THAT(daemon.reload(), EndsWith("nothing differs")); // the new stamps are known
}

TEST_CASE("a .torrent that cannot be read at a reload keeps its image, and the reason is logged") {
    running_app daemon;
    daemon.images = {daemon.image("sda1")};
    daemon.start();
    auto const torrent = daemon.file("sda1.torrent").string();
    SECTION("it is missing") {
        std::filesystem::remove(torrent);
        daemon.reload();
        CHECK(daemon.lines("cannot read") ==
              strings{"sda1: cannot read " + torrent +
                      ": No such file or directory (ENOENT); still serving the torrent that is "
                      "loaded"});
    }
    SECTION("it is not a torrent") {
        std::ofstream(torrent) << "hello";
        daemon.reload();
        REQUIRE(daemon.lines("cannot read").size() == 1);
        auto const line = daemon.lines("cannot read").front();
        CHECK_THAT(line, StartsWith("sda1: cannot read " + torrent + ": "));
        CHECK_THAT(line, EndsWith("; still serving the torrent that is loaded"));
    }
    CHECK(daemon.names_in(image_state::seeding) == strings{"sda1"});
    CHECK(daemon.lines("closed").size() == 1); // in "reload: 0 images closed"
}

TEST_CASE("a reload changes memory, hash threads and the numbers of a profile in use") {
    running_app daemon;
    auto const profile = [](int threads) {
        return "[profile.nvme]\nio_engine = \"threads\"\nthreads = " + std::to_string(threads) + "\n";
    };
    daemon.other = "[hashing]\nthreads = 2\n" + profile(3);
    daemon.images = {daemon.image("sda1", "mode = \"seed\"\nprofile = \"nvme\"\n")};
    daemon.start();
    CHECK(daemon.status().pool.capacity == 32 << 20);
    CHECK(threads_named("hash") == 2);
    CHECK(threads_named("disk") == 3);

    daemon.memory = "pool = \"64 MiB\"\ncache = \"8 MiB\"\n";
    daemon.other = "[hashing]\nthreads = 5\n" + profile(7);
    CHECK_THAT(daemon.reload(), EndsWith("reload: 64 MiB of memory for blocks, 8 MiB of which may be cache"));
    CHECK_THAT(daemon.await("reload: "), EndsWith("reload: 5 hash threads"));
    CHECK_THAT(daemon.await("reload: "), EndsWith("reload: 0 images closed, 0 opened, 0 changed in use"));
    CHECK(daemon.status().pool.capacity == 64 << 20);
    CHECK(threads_named("hash") == 5);
    CHECK(threads_named("disk") == 7);
}

TEST_CASE("a reload changes the addresses for peers and for the tracker") {
    running_app daemon;
    auto const tracker_at = [](std::uint16_t port) { return "listen = \"127.0.0.1:" + std::to_string(port) + "\"\n"; };
    auto const first = daemon.port;
    daemon.start();
    CHECK(is_open(first));

    daemon.port = free_port();
    auto const tracker = free_port();
    daemon.tracker = tracker_at(tracker);
    daemon.network = "upload_limit = 1000000\nconnections = 50\n";
    daemon.reload();
    daemon.await("ready");
    CHECK(is_open(tracker));
    auto const until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while ((is_open(first) || !is_open(daemon.port)) && std::chrono::steady_clock::now() < until) { // libtorrent's time
    }
    CHECK(is_open(daemon.port));
    CHECK_FALSE(is_open(first));

    daemon.tracker = "enabled = false\n";
    daemon.reload();
    daemon.await("ready");
    CHECK_FALSE(is_open(tracker));
}

TEST_CASE("checkpoints are saved in the folder that a reload names, and not at all without an interval") {
    running_app daemon;
    for (auto const* name : {"first", "second"}) {
        std::filesystem::create_directory(daemon.file(name));
    }
    daemon.other = "[resume]\nfolder = \"first\"\n";
    // Without a peer it stays at downloading: its first piece is wrong, the others are there.
    auto const sda1 = daemon.image("sda1", as_target);
    std::ofstream(daemon.file("sda1.img"), std::ios::in) << 'x';
    daemon.images = {sda1};
    daemon.start();
    CHECK(daemon.names_in(image_state::downloading) == strings{"sda1"});
    await_checkpoint_in(daemon.file("first"));
    SECTION("another folder") {
        daemon.other = "[resume]\nfolder = \"second\"\n";
        daemon.reload();
        daemon.await("ready");
        CHECK(daemon.stop() == exit_ok);
        CHECK(checkpoints_in(daemon.file("second")) == 1);
    }
    SECTION("no interval") {
        daemon.other = "[resume]\nfolder = \"second\"\ninterval = 0\n";
        daemon.reload();
        daemon.await("ready");
        CHECK(daemon.stop() == exit_ok);
        CHECK(checkpoints_in(daemon.file("second")) == 0);
    }
}

TEST_CASE("keys that need a restart are named at each reload and keep their values") {
    running_app daemon;
    daemon.images = {daemon.image("sda1")};
    daemon.start();
    daemon.network = "shards = 2\n";
    daemon.memory += "cache_shards = 8\nhuge_pages = false\n";
    daemon.other = "[hashing]\nahead = false\n[profile.hdd]\nio_engine = \"threads\"\ndirect_io = false\n";
    for (std::size_t times = 1; times <= 2; ++times) {
        CHECK_THAT(daemon.reload(), EndsWith("reload: restart needed to change: network.shards, memory.cache_shards, "
                                             "memory.huge_pages, hashing.ahead, profile.hdd.direct_io, "
                                             "profile.hdd.io_engine"));
        CHECK_THAT(daemon.await("reload: "), EndsWith("reload: 0 images closed, 0 opened, 0 changed in use"));
        daemon.await("ready");
    }
    daemon.network.clear();
    daemon.memory = "pool = \"32 MiB\"\n";
    daemon.other.clear();
    CHECK_THAT(daemon.reload(), EndsWith("nothing differs"));
}

TEST_CASE("a bad file changes nothing, and the daemon is ready again") {
    running_app daemon;
    daemon.images = {daemon.image("sda1")};
    daemon.start();
    daemon.memory = "pool = \"64 MiB\"\n";
    auto const good = daemon.image("new");
    SECTION("a key that does not exist") {
        daemon.images = {good, "[profile.nvem]\n"};
        CHECK_THAT(daemon.reload(), EndsWith("reload: nothing was changed"));
        CHECK(daemon.lines("profile.nvem").size() == 1);
    }
    SECTION("listeners that the running shards cannot have") {
        daemon.stop();
        daemon.images = {daemon.image("sda1")};
        daemon.memory = "pool = \"32 MiB\"\n";
        daemon.network = "shards = 2\n";
        daemon.start();
        daemon.memory = "pool = \"64 MiB\"\n";
        daemon.network.clear();
        daemon.images = {good};
        daemon.port = 65535; // one shard would fit
        CHECK_THAT(daemon.reload(), EndsWith("reload: nothing was changed"));
        CHECK(daemon.lines("changing it takes a restart").size() == 1);
    }
    daemon.await("ready");
    auto const now = daemon.status();
    CHECK(now.pool.capacity == 32 << 20);
    REQUIRE(now.images.size() == 1);
    CHECK(now.images.front().status.name == "sda1");
    CHECK(now.images.front().status.state == image_state::seeding);
}

TEST_CASE("signals during a reload cause one more reload") {
    running_app daemon;
    daemon.images = {daemon.image("old")};
    daemon.start();
    daemon.images = {daemon.image("new")};
    daemon.raise_at("reloading ", {SIGHUP, SIGHUP}); // the configuration has not been read yet
    CHECK_THAT(daemon.reload(), EndsWith("reload: 1 image closed, 1 opened, 0 changed in use"));
    CHECK_THAT(daemon.await("reload: "), EndsWith("nothing differs"));
    daemon.await("ready");
    CHECK(daemon.names_in(image_state::seeding) == strings{"new"});
    CHECK(daemon.stop() == exit_ok);
    CHECK(daemon.lines("reloading").size() == 2);
}

TEST_CASE("after a stop, a reload in progress opens nothing") {
    running_app daemon;
    daemon.images = {daemon.image("old")};
    daemon.start();
    daemon.images = {daemon.image("new")};
    daemon.raise_at("reload: 1 image closed", {SIGTERM});
    daemon.reload();
    daemon.await("stopped");
    CHECK(daemon.stop(true) == exit_ok);
    CHECK(daemon.lines("old: closed").size() == 1);
    CHECK(daemon.lines("new: ").empty());
}

TEST_CASE("while it stops, a daemon neither reloads nor starts another stop") {
    running_app daemon;
    daemon.images = {daemon.image("sda1")};
    daemon.start();
    daemon.raise_at("stopping on SIGTERM", {SIGHUP, SIGTERM, SIGINT});
    CHECK(daemon.stop() == exit_ok);
    CHECK(daemon.lines("still stopping: flushing the written data").size() == 2);
    CHECK(daemon.lines("reload").empty());
    CHECK(daemon.lines("stopping on ").size() == 1);
    CHECK(daemon.lines("stopped").size() == 1);
}

TEST_CASE("the service manager is notified of the start, reloads and the stop, in order") {
    running_app daemon;
    daemon.images = {daemon.image("sda1")};
    daemon.start();
    daemon.images.push_back("[nonsense]\n");
    daemon.reload();
    daemon.await("ready");
    daemon.images = {daemon.image("sda2")};
    daemon.reload();
    daemon.await("ready");
    CHECK(daemon.stop() == exit_ok);

    strings states; // without messages that only set STATUS
    for (auto const& message : daemon.notifications()) {
        if (!message.starts_with("STATUS=")) {
            states.push_back(message);
        }
    }
    REQUIRE(states.size() == 6);
    CHECK_THAT(states[0], StartsWith("READY=1\nSTATUS=sda1: seeding"));
    CHECK_THAT(states[1], StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    CHECK_THAT(states[2], StartsWith("READY=1\nSTATUS=sda1: seeding"));
    CHECK_THAT(states[3], StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    CHECK_THAT(states[4], StartsWith("READY=1\nSTATUS=sda2: seeding"));
    CHECK_THAT(states[5], StartsWith("STOPPING=1\nSTATUS=stopping: "));
}

TEST_CASE("the status line counts the states of more than eight images") {
    running_app daemon;
    for (char digit = '1'; digit <= '8'; ++digit) {
        daemon.images.push_back(daemon.image(std::string("sda") + digit));
    }
    daemon.start();
    auto const last_status = [&daemon] { return daemon.notifications().back(); };
    CHECK_THAT(last_status(), StartsWith("READY=1\nSTATUS=sda1: seeding") && Catch::Contains("; sda8: seeding"));
    daemon.images.push_back(daemon.image("sda9"));
    std::filesystem::remove(daemon.file("sda9.img"));
    daemon.reload();
    daemon.await("ready");
    CHECK(last_status() == "READY=1\nSTATUS=9 images: 1 failed, 8 seeding");
}

TEST_CASE("a tracker port that is taken is an error of a reload, and the daemon continues") {
    running_app daemon;
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor const taken(context, {boost::asio::ip::address_v4::loopback(), 0});
    auto const address = "127.0.0.1:" + std::to_string(taken.local_endpoint().port());
    daemon.images = {daemon.image("sda1")};
    daemon.start();
    daemon.tracker = "listen = \"" + address + "\"\n";
    daemon.reload();
    daemon.await("ready");
    CHECK(daemon.lines(address).size() == 1);
    CHECK(daemon.names_in(image_state::seeding) == strings{"sda1"});
    CHECK(daemon.stop() == exit_ok);
}

TEST_CASE("a tracker port that is taken at the start ends the daemon") {
    running_app daemon;
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor const taken(context, {boost::asio::ip::address_v4::loopback(), 0});
    daemon.tracker = "listen = \"127.0.0.1:" + std::to_string(taken.local_endpoint().port()) + "\"\n";
    daemon.start("stopped");
    CHECK(daemon.stop(true) == exit_failed);
    CHECK(daemon.lines("ready").empty());
}
