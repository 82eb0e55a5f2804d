#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/torrent_info.hpp>

#include "session_fixture.hpp"
#include "support/fake_block_device.hpp"
#include "support/process_memory.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// A seed on address 1, and an unchoked peer with the Fast Extension, by which it learns that a request is refused.
struct request_test {
    /// \param v2_pieces of a torrent of BitTorrent v2; without them, one of v1 is used.
    explicit request_test(int v2_pieces = 0)
        : image(v2_pieces != 0 ? test_image::v2(v2_pieces) : test_image(4)) {
        seed.add(store.checked_spec());
        seed.run_until("checked");
        peer = connect_unchoked(loop, image.torrent(), 2, endpoint(1), unique_peer_id(), true);
    }

    test_loop loop;
    test_image image;
    test_store store{image, image_mode::seed, image.full_file()};
    session_with_torrent seed{loop, store, 1};
    std::shared_ptr<wire_peer> peer;
};

} // namespace

TEST_CASE("requests: a peer may have 4,000 waiting, the others are refused") {
    request_test t;
    constexpr int sent = 10'000;
    t.peer->request_repeatedly(1, sent); // reads nothing meanwhile
    t.loop.run_until([&] { return t.peer->count(wire_peer::piece) + t.peer->count(wire_peer::reject) == sent; });
    CHECK(t.peer->count(wire_peer::piece) > 4'000); // and those that were sent before the queue was full
    CHECK(t.peer->count(wire_peer::reject) > 2'000);
    CHECK_FALSE(t.peer->closed);
}

TEST_CASE("requests: a peer that goes on requesting but reads nothing is disconnected") {
    request_test t;
    constexpr int most = 3'000'000;
    constexpr int at_once = 10'000;
    int sent = 0;
    for (; sent < most && !t.peer->closed; sent += at_once) {
        t.peer->request_repeatedly(1, at_once);
    }
    CAPTURE(sent);
    CHECK(t.peer->closed);
    auto const other = t.seed.connect(3, 1);
    other->request_piece(1, 64 << 10);
    t.loop.run_until([&] { return other->count(wire_peer::piece) == 4; });
}

TEST_CASE("requests: a peer with too many unanswered ones is disconnected, however short they are") {
    test_loop loop;
    test_image const image(4);
    auto const bytes = std::as_bytes(std::span(image.content()));
    auto fake = std::make_unique<fake_block_device>(std::vector(bytes.begin(), bytes.end()), "fake", true);
    auto& device = *fake;
    test_store store(image, std::move(fake));
    session_with_torrent seed(loop, store, 1);
    auto held = device.hold(fake_block_device::operation::read);
    seed.add(store.checked_spec());
    seed.run_until("checked");
    auto const fast = GENERATE(true, false);
    auto const peer = connect_unchoked(loop, image.torrent(), 2, endpoint(1), unique_peer_id(), fast);
    peer->request_repeatedly(1, 4'000, 1);
    seed.request_progress_until([&] { return seed.listener.progress.peers == 1; });
    CHECK_FALSE(peer->closed);
    peer->request_repeatedly(2, 4'200, 1);
    loop.run_until([&] { return peer->closed; });
}

TEST_CASE("requests: a peer that goes on requesting hashes of v2 but reads nothing is disconnected") {
    constexpr int blocks = 256;
    request_test t(blocks);
    auto const root = t.image.torrent().info->files().root(lt::file_index_t{0}).to_string();
    t.peer->request_hashes_repeatedly(root, blocks, 1);
    t.loop.run_until([&] { return t.peer->count(wire_peer::hashes) == 1; });
    // Each answer has 8 KiB.
    t.peer->request_hashes_repeatedly(root, blocks, 500);
    t.loop.run_until([&] { return t.peer->count(wire_peer::hashes) == 501; });
    t.seed.request_progress_until([&] { return t.seed.listener.progress.peers == 1; });
    CHECK_FALSE(t.peer->closed);
    t.peer->stop_reading();
    forget_peak_memory();
    while (!t.peer->closed) {
        t.peer->request_hashes_repeatedly(root, blocks, 100);
    }
    t.seed.request_progress_until([&] { return t.seed.listener.progress.peers == 0; });
    CHECK(process_memory("VmHWM") < std::int64_t{1} << 30); // not the gigabytes that are prepared in a second
}
