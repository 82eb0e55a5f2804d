// A deployment: downloaded, written, durable, verified, and only then done.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include "daemon/image/damage_policy.hpp"
#include "image_fixture.hpp"

using namespace seedbed;
using test::fake_block_device;
using test::image_fixture;
using operation = fake_block_device::operation;

namespace {

using states = std::vector<image_state>;
using enum image_state;

void expect_failed(image_fixture& image, failure_kind kind) {
    image.run_until(failed);
    auto const status = image.job->status();
    CHECK(status.failed_at == kind);
    CHECK_FALSE(status.verified);
    REQUIRE(image.reports.sent.size() == 1);
    CHECK(image.reports.sent[0].report.outcome == host_report::outcome_kind::failed);
    CHECK(image.reports.sent[0].report.reason == status.failure);
    CHECK_FALSE(image.logged("done:"));
    image.run_until([&] { return !image.swarm.has_torrent(); });
    image.close();
    CHECK(image.device_is_free());
}

} // namespace

TEST_CASE("a deployment is checked, downloaded, flushed and verified before it is done") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.wanted.trackers = {"http://other/announce"};
    image.start_download();
    CHECK(image.swarm.spec.pieces == std::vector<bool>(image_fixture::piece_count, false));
    CHECK_FALSE(image.swarm.spec.hash_before_serving);
    CHECK(image.logged("checked 44 KiB in "));
    using boost::asio::ip::make_address;
    image.swarm.spec.on_report_port({make_address("10.0.0.1"), 80});
    image.swarm.spec.on_report_port({make_address("fd00::1"), 81});
    device.clear_accesses();
    image.complete_download();
    CHECK(image.state() == flushing);
    CHECK_FALSE(image.job->status().durable);
    auto held = device.hold(operation::read_medium);
    image.run_until(verifying);
    CHECK(image.job->status().durable);
    CHECK_FALSE(image.job->status().verified);
    CHECK(image.reports.sent.empty());
    held.release();
    image.run_until(seeding);
    CHECK(image.states == states{opening, checking, downloading, flushing, verifying, seeding});
    auto const status = image.job->status();
    CHECK(status.durable);
    CHECK(status.verified);
    CHECK(status.failed_at == failure_kind::none);
    CHECK(image.logged("durable: flushed in "));
    CHECK(image.logged("done: 44 KiB, of which "));

    auto const accesses = device.accesses();
    auto const flushed = std::ranges::find(accesses, operation::flush, &fake_block_device::access::op);
    auto const read = std::ranges::find(accesses, operation::read_medium, &fake_block_device::access::op);
    CHECK(flushed < read);
    CHECK(read != accesses.end());

    REQUIRE(image.reports.sent.size() == 1);
    auto const& sent = image.reports.sent[0];
    CHECK(sent.image == "sda1");
    CHECK(sent.info_hash == image.job->info_hash());
    CHECK(sent.urls == std::vector<std::string>{"http://tracker/announce", "http://other/announce"});
    CHECK(sent.peers ==
          std::vector<boost::asio::ip::tcp::endpoint>{{make_address("10.0.0.1"), 80}, {make_address("fd00::1"), 81}});
    CHECK(sent.report.outcome == host_report::outcome_kind::verified);
    CHECK(sent.report.reason.empty());
    image.close();
    CHECK(image.reports.sent.size() == 1);
    CHECK(image.reports.forgotten == std::vector<std::string>{"sda1"});
}

TEST_CASE("a deployment reports its start and its disk, also to peers that it meets until it ends") {
    image_fixture image(image_mode::deploy);
    image.start_download();
    REQUIRE(image.reports.started.size() == 1);
    auto const& first = image.reports.started[0];
    CHECK(first.urls == std::vector<std::string>{"http://tracker/announce"});
    CHECK(first.peers.empty());
    CHECK(first.report.facts.device == image.device_path());
    CHECK(first.report.facts.cls);
    using boost::asio::ip::make_address;
    image.swarm.spec.on_report_port({make_address("10.0.0.1"), 80});
    image.swarm.spec.on_report_port({make_address("10.0.0.1"), 81}); // connected again
    boost::asio::ip::tcp::endpoint const peer(make_address("10.0.0.1"), 80);
    CHECK(image.reports.added == std::vector{std::pair(std::string("sda1"), peer)});
    image.complete_download();
    image.run_until(seeding);
    image.swarm.spec.on_report_port({make_address("10.0.0.2"), 80});
    CHECK(image.reports.added.size() == 1);
    CHECK(image.reports.started.size() == 1);
    CHECK(image.reports.sent.size() == 1);
    image.close();
}

TEST_CASE("verify = false: a deployment is done when it is durable") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.wanted.verify = false;
    image.start_download();
    device.clear_accesses();
    image.complete_download();
    image.run_until(seeding);
    CHECK(device.accesses(operation::read_medium).empty());
    CHECK(image.states == states{opening, checking, downloading, flushing, seeding});
    CHECK(image.job->status().durable);
    CHECK_FALSE(image.job->status().verified);
    CHECK(image.reports.sent.at(0).report.outcome == host_report::outcome_kind::durable);
    CHECK(image.logged("not verified (verify = false)"));
    image.run_until([&] { return image.saved() && image.saved()->complete() && image.saved()->at_rest; });
    CHECK_FALSE(image.saved()->verified);
    image.close();
}

TEST_CASE("nothing is downloaded to a device that already holds the image") {
    image_fixture image(image_mode::deploy);
    image.start();
    image.run_until_joined();
    image.complete_download(); // the swarm reports it without on_checked()
    image.run_until(seeding);
    CHECK(image.states == states{opening, checking, downloading, flushing, verifying, seeding});
    CHECK(image.logged("nothing was missing"));
    image.close();
}

TEST_CASE("check = none: all of the image is downloaded") {
    image_fixture image(image_mode::deploy);
    image.wanted.check = target_check::none;
    image.start_download();
    CHECK(image.swarm.spec.pieces == std::vector<bool>(image_fixture::piece_count, false));
    CHECK(image.logged("not checked (check = \"none\"): 44 KiB to download"));
    image.close();
}

TEST_CASE("a deployment whose flush fails is not durable and is not read back") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.start_download();
    device.fail(operation::flush, EIO);
    device.clear_accesses();
    image.complete_download();
    image.run_until(failed);
    CHECK_FALSE(image.job->status().durable);
    CHECK(device.accesses(operation::read_medium).empty());
    expect_failed(image, failure_kind::flush);
    CHECK_FALSE(image.saved());
}

TEST_CASE("a deployment fails if the disk does not hold the written data") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.start_download();
    auto held = device.hold(operation::read_medium);
    image.complete_download();
    image.run_until(verifying);
    image.run_until([&] { return image.saved().has_value(); });
    std::byte const other = ~image.content.back();
    device.set_medium(image_fixture::last_byte, std::span(&other, 1));
    held.release();
    image.run_until(failed);
    CHECK(
        image.logged("not verified: 1 of 3 pieces differ on the device, the first one at offset 53728, length 12232"));
    expect_failed(image, failure_kind::verify);
    CHECK_FALSE(image.saved()); // or the next start would trust it
}

TEST_CASE("a deployment fails if it cannot be read back") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.start_download();
    device.fail(operation::read_medium, EIO);
    image.complete_download();
    expect_failed(image, failure_kind::verify);
}

TEST_CASE("a damaged piece is the peer's fault if a flush succeeds, and the disk's if it fails") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.start_download();
    SECTION("well") {
        image.swarm.listener().on_piece_damaged(1);
        image.run_until([&] { return image.logged("piece 1 failed its hash check; downloading it again"); });
        CHECK(image.state() == downloading);
        CHECK(device.accesses(operation::flush).size() == 1);
        image.close();
    }
    SECTION("not") {
        device.fail(operation::flush, EIO);
        image.swarm.listener().on_piece_damaged(1);
        expect_failed(image, failure_kind::flush);
        CHECK_FALSE(image.logged("piece 1"));
    }
}

TEST_CASE("many damaged pieces and peers that sent them cost few flushes and lines") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.start_download();
    auto& listener = image.swarm.listener();
    for (unsigned i = 0; i < 100; ++i) {
        listener.on_piece_damaged(1);
        listener.on_peer_banned({boost::asio::ip::address_v4(0x0a000000U + i), 6881}, 1);
    }
    image.run_until([&] { return image.count_lines("piece 1 failed its hash check") >= 8; });
    CHECK(image.count_lines("piece 1 failed its hash check") == 8);
    CHECK(image.count_lines("sent 1 piece that failed the hash check") == 8);
    CHECK(device.accesses(operation::flush).size() == 2); // after the first piece, and after the last one
    CHECK(image.job->status().damage.size() == 100);
    image.close();
}

TEST_CASE("the source of a damaged piece is named and tried again after a pause") {
    image_fixture image(image_mode::deploy);
    image.start_download();
    boost::asio::ip::tcp::endpoint const source(boost::asio::ip::make_address("10.0.0.1"), 6881);
    image.swarm.listener().on_peer_banned(source, 0);
    CHECK(image.logged("10.0.0.1:6881 sent 1 piece that failed the hash check; connecting to it again in 1s"));
    CHECK(image.swarm.count("lift ban") == 0);
    image.run_until([&] { return image.swarm.count("lift ban") == 1; });
    CHECK(image.swarm.retried == source);
    CHECK(image.job->status().damage == std::map<std::string, int>{{"10.0.0.1:6881", 1}});
    image.swarm.listener().on_peer_banned(source, 0);
    CHECK(image.logged("sent 2 pieces that failed the hash check; connecting to it again in 2s"));
    image.close(); // does not wait for the pause
}

TEST_CASE("a source that keeps sending damage ends the deployment") {
    image_fixture image(image_mode::deploy);
    image.damage_pause = std::chrono::milliseconds(1);
    image.start_download();
    boost::asio::ip::tcp::endpoint const source(boost::asio::ip::make_address("10.0.0.1"), 6881);
    for (int i = 1; i < damage_policy::most; ++i) {
        image.swarm.listener().on_peer_banned(source, 0);
        image.run_until([&] { return image.swarm.count("lift ban") == i; });
        CHECK(image.state() == downloading);
    }
    image.swarm.listener().on_peer_banned(source, 0);
    expect_failed(image, failure_kind::damage);
    CHECK(image.job->status().failure == "10.0.0.1:6881 sent 5 pieces that failed the hash check, and no source sent a "
                                         "good one: its memory, disk or network is faulty");
}

TEST_CASE("a deployment that the swarm gives up fails, and the first reason counts") {
    image_fixture image(image_mode::deploy);
    image.start_download();
    image.swarm.listener().on_torrent_error("no space");
    image.swarm.listener().on_torrent_error("something else");
    CHECK(image.state() == failed);
    CHECK(image.job->status().failure == "no space");
    // Pending events change nothing.
    image.swarm.listener().on_checked();
    image.swarm.listener().on_complete();
    image.swarm.listener().on_content_differs();
    image.swarm.listener().on_progress({});
    CHECK(image.state() == failed);
    CHECK(image.swarm.count("remove") == 1);
    expect_failed(image, failure_kind::download);
}

TEST_CASE("a deployment whose torrent the swarm drops fails") {
    image_fixture image(image_mode::deploy);
    image.start_download();
    image.swarm.finish_removal();
    CHECK(image.state() == failed);
    CHECK(image.swarm.count("remove") == 0);
    expect_failed(image, failure_kind::download);
}

TEST_CASE("a deployment is closed in every state, and the device is free afterwards") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    auto const close_when = [&](image_state state) {
        CHECK(image.state() == state);
        image.close();
        CHECK(image.logged("sda1: closed"));
        CHECK_FALSE(image.logged("failed"));
        CHECK(image.reports.sent.size() == (state == seeding ? 1 : 0));
        CHECK(image.swarm.calls.back() == "remove");
    };
    SECTION("checking") {
        image.start();
        image.run_until_joined();
        image.swarm.pieces.clear();
        close_when(checking);
        CHECK_FALSE(image.saved());
    }
    SECTION("downloading: the written pieces are flushed and kept") {
        image.start_download();
        image.put_piece(1);
        image.swarm.pieces = {false, true, false};
        close_when(downloading);
        REQUIRE(image.saved());
        CHECK(image.saved()->pieces == std::vector<bool>{false, true, false});
        CHECK(image.saved()->at_rest);
        CHECK_FALSE(image.saved()->verified);
    }
    SECTION("flushing") {
        image.start_download();
        auto held = device.hold(operation::flush);
        image.complete_download();
        held.wait_until_waiting();
        bool closed = false;
        image.job->close([&] { closed = true; });
        CHECK(image.state() == closing);
        held.release();
        image.run_until([&] { return closed; });
        CHECK(image.states == states{opening, checking, downloading, flushing, closing, image_state::closed});
        CHECK(image.reports.sent.empty());
    }
    SECTION("verifying") {
        image.start_download();
        auto held = device.hold(operation::read_medium);
        device.clear_accesses();
        image.complete_download();
        image.run_until(verifying);
        image.run_until([&] { return !device.accesses(operation::read_medium).empty(); }); // this thread begins it
        held.wait_until_waiting();
        bool closed = false;
        image.job->close([&] { closed = true; });
        held.release();
        image.run_until([&] { return closed; });
        CHECK(image.states ==
              states{opening, checking, downloading, flushing, verifying, closing, image_state::closed});
        CHECK(image.saved()->complete());
        CHECK_FALSE(image.saved()->verified);
    }
    SECTION("seeding") {
        image.deploy();
        close_when(seeding);
        CHECK(image.saved()->verified);
    }
    CHECK(image.device_is_free());
    CHECK(image.shared->find_image(image.swarm.key) == nullptr);
}

TEST_CASE("closing waits for the swarm") {
    image_fixture image(image_mode::deploy);
    image.swarm.removes_by_itself = false;
    image.start_download();
    bool closed = false;
    image.job->close([&] { closed = true; });
    image.run_ready();
    CHECK(image.state() == closing);
    CHECK(image.line() == "sda1: closing");
    image.swarm.finish_removal();
    image.run_until([&] { return closed; });
}

TEST_CASE("a failed image is closed whether its device is still open or not") {
    image_fixture image(image_mode::deploy);
    image.swarm.removes_by_itself = false;
    image.start_download();
    image.swarm.listener().on_torrent_error("no space");
    bool closed = false;
    SECTION("still open") {
        image.job->close([&] { closed = true; });
        image.run_ready();
        CHECK_FALSE(closed);
        image.swarm.finish_removal();
    }
    SECTION("closed") {
        image.swarm.finish_removal();
        image.run_until([&] { return image.device_is_free(); });
        image.run_ready();
        image.job->close([&] { closed = true; });
        CHECK(closed);
    }
    image.run_until([&] { return closed; });
    CHECK(image.state() == image_state::closed);
    CHECK_FALSE(image.logged("sda1: closed"));
    CHECK(image.job->status().failure == "no space");
}

TEST_CASE("a failure of the last flush is reported at the end") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.start_download();
    image.put_piece(0);
    image.swarm.pieces = {true, false, false};
    device.fail(operation::flush, EIO);
    image.close();
    CHECK(image.job->status().failed_at == failure_kind::flush);
    CHECK(image.logged("the last writes may be lost"));
    CHECK_FALSE(image.saved());
}

TEST_CASE("a deployment whose device is refused reports that, a seed does not") {
    for (auto const mode : {image_mode::deploy, image_mode::seed}) {
        image_fixture image(mode);
        image.wanted.trackers = {"http://other/announce"};
        image.wanted.size = 4096;
        image.start();
        image.run_until(failed);
        REQUIRE(image.reports.sent.size() == (mode == image_mode::deploy ? 1 : 0));
        if (mode == image_mode::deploy) {
            auto const& sent = image.reports.sent[0];
            CHECK(sent.report.outcome == host_report::outcome_kind::refused);
            CHECK(sent.report.reason == image.job->status().failure);
            CHECK(std::ranges::find(sent.urls, "http://other/announce") != sent.urls.end());
        }
        image.close();
    }
}

TEST_CASE("only deployments send reports; only images with a fleet announce the port for reports") {
    SECTION("deploy") {
        image_fixture image(image_mode::deploy);
        image.report_port = [] { return std::uint16_t{4711}; };
        image.start();
        image.run_until_joined();
        CHECK(image.swarm.spec.report_port == 0);
        CHECK(image.swarm.spec.on_report_port);
        image.close();
    }
    SECTION("deploy, with its own fleet") {
        image_fixture image(image_mode::deploy);
        image.wanted.fleet.expect = 3;
        image.report_port = [] { return std::uint16_t{4711}; };
        image.start();
        image.run_until_joined();
        CHECK(image.swarm.spec.report_port == 4711);
        image.close();
    }
    SECTION("seed") {
        image_fixture image(image_mode::seed);
        image.report_port = [] { return std::uint16_t{4711}; };
        image.start();
        image.run_until(seeding);
        CHECK(image.swarm.spec.report_port == 4711);
        CHECK_FALSE(image.swarm.spec.on_report_port);
        image.swarm.listener().on_torrent_error("no");
        image.close();
        CHECK(image.reports.sent.empty());
    }
}
