#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <libtorrent/disk_interface.hpp>
#include <libtorrent/disk_observer.hpp>
#include <libtorrent/io_context.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/storage_defs.hpp>

#include "core/backend/backend.hpp"
#include "core/backend/served_image.hpp"
#include "support/fake_block_device.hpp"

namespace seedbed::test {

namespace lt = libtorrent;

using bytes = std::vector<std::byte>;
using operation = fake_block_device::operation;

inline constexpr std::int32_t kib = 1024;
/// Bytes. Small, because a backend fills all of its pool with memory at the start.
inline constexpr std::int64_t default_pool = std::int64_t{8} << 20;
/// How long a complete piece waits to be hashed together with the next one: less than by default, because most tests
/// have no next one.
inline constexpr std::chrono::milliseconds short_wait{2};

/// The defaults, apart from short_wait.
[[nodiscard]] backend_options default_options();

/// Bytes that differ from one \p seed to the next and from one block to the next.
[[nodiscard]] bytes pattern(std::size_t size, std::uint32_t seed);
[[nodiscard]] lt::sha1_hash sha1_of(std::span<std::byte const> data);
[[nodiscard]] lt::sha256_hash sha256_of(std::span<std::byte const> data);

enum class torrent_kind { v1, hybrid, v2 };

/// The layout of an image.
struct image_plan {
    torrent_kind kind = torrent_kind::v1;
    std::int32_t piece_length = 64 * kib;
    std::vector<extent> extents; ///< of the device, without padding
    std::uint32_t seed = 1;      ///< of the device's content
    bool read_only = false;
    int threads = 2;
    // By default each block is read and written alone and at once.
    std::int64_t coalesce = block_size;
    std::chrono::milliseconds delay{0};
    std::int64_t read_ahead = block_size;
    bool elevator = false;
    bool ring = false; ///< io_uring, if the system has it: the device has a descriptor, and meets no holds

    [[nodiscard]] io_profile profile() const;
};

/// The configurations of the engine; every promise holds with each.
struct engine_way {
    char const* name;
    std::int64_t coalesce;
    std::chrono::milliseconds delay;
    std::int64_t read_ahead;
    bool elevator;
    int threads;
    std::optional<std::int64_t> cache_bytes;
    bool hash_ahead;

    [[nodiscard]] image_plan applied_to(image_plan plan) const;
    [[nodiscard]] backend_options options() const;
};
[[nodiscard]] std::vector<engine_way> engine_ways();
/// Prints its name if a check fails.
std::ostream& operator<<(std::ostream& to, engine_way const& way);

/// Waits for a condition on another thread that has no event; fails the test after a minute.
void eventually(std::function<bool()> const& condition);

/// An image on a fake device filled with a pattern, gaps included; its torrent has the true hashes.
/// The device ends 4 KiB after the last extent.
struct test_image {
    /// \param shared serves the image; without it, only the image on its device exists.
    explicit test_image(image_plan made_as, backend* shared = nullptr);

    /// The torrent's stream as the device holds it; padding is zeros.
    [[nodiscard]] bytes stream() const;
    [[nodiscard]] bytes stream(torrent_offset begin, std::int64_t length) const;
    [[nodiscard]] std::vector<extent> slices(torrent_offset begin, std::int64_t length) const;
    /// Writes to the device, past the engine, without padding. The data is not durable.
    void put(torrent_offset begin, std::span<std::byte const> data) const;
    [[nodiscard]] image_io& io() const { return served->io(); }
    [[nodiscard]] int pieces() const { return storage->torrent().piece_count; }
    [[nodiscard]] std::int32_t piece_size(int piece) const { return storage->piece_size(piece_index{piece}); }
    [[nodiscard]] info_hash key() const { return backend::key_of(storage->torrent()); }

    /// Changes only the number of the queue's threads.
    void set_threads(int threads) const;

    image_plan plan;
    bytes initial;                         ///< the device's first content
    std::shared_ptr<served_image> served;  ///< null without a backend
    std::shared_ptr<image_device> storage; ///< the same, if there is one
    fake_block_device* device = nullptr;   ///< the storage's

    /// A v1 image with gaps, extents that are not multiples of a block, some shorter than a block, one larger than a
    /// piece, and a short last piece.
    [[nodiscard]] static image_plan awkward(int threads = 2, bool read_only = false);
    /// Files shorter than a block, as long as a piece, and as long as several pieces with a short end.
    [[nodiscard]] static image_plan with_padding(torrent_kind kind);
};

/// \p data, with zeros for the padding of the stream from \p begin on.
[[nodiscard]] bytes without_padding(test_image const& image, torrent_offset begin, bytes data);
/// Whether the device is unchanged outside the extents.
[[nodiscard]] bool gaps_untouched(test_image const& image);

/// How an operation ended.
struct outcome {
    int calls = 0;             ///< of the handler
    bool within_post = false;  ///< the handler was called from within the posting call
    bool wrong_thread = false; ///< the handler was not called on the session's thread
    int order = -1;            ///< of the handler among all of its session
    bool pause = false;        ///< what async_write returned
    lt::storage_error error;
    lt::status_t status = lt::status_t::no_error;
    bytes data;
    lt::sha1_hash sha1;
    lt::sha256_hash sha256;
    std::vector<lt::sha256_hash> block_hashes;
    std::string text;                   ///< a path or a name
    int number = -1;                    ///< a piece or a file
    std::function<void(outcome&)> then; ///< called by the handler, if set

    [[nodiscard]] bool done() const { return calls > 0; }
    [[nodiscard]] bool ok() const { return calls == 1 && !error; }
    /// errno of the error, 0 without an error, -1 if the handler was not called exactly once.
    [[nodiscard]] int code() const { return calls == 1 ? error.ec.value() : -1; }
};
using outcome_ptr = std::shared_ptr<outcome>;

/// A session's disk_io and its io_context, polled by the test.
class test_session {
public:
    explicit test_session(std::shared_ptr<backend> shared, int max_queued_bytes = 64 << 20);

    lt::storage_holder add(info_hash const& key);
    lt::storage_holder add(test_image const& image) { return add(image.key()); }

    outcome_ptr read(lt::storage_index_t storage, int piece, int start, int length);
    outcome_ptr write(lt::storage_index_t storage, int piece, int start, std::span<std::byte const> data,
                      std::shared_ptr<lt::disk_observer> observer = {});
    /// A write that claims \p length, even an invalid one.
    outcome_ptr bad_write(lt::storage_index_t storage, int piece, int start, int length);
    outcome_ptr hash(lt::storage_index_t storage, int piece, lt::disk_job_flags_t flags = lt::disk_interface::v1_hash,
                     int v2_blocks = 0);
    outcome_ptr hash2(lt::storage_index_t storage, int piece, int offset, lt::disk_job_flags_t flags = {});
    outcome_ptr stop(lt::storage_index_t storage);
    outcome_ptr release(lt::storage_index_t storage);
    outcome_ptr check(lt::storage_index_t storage, lt::add_torrent_params const* resume = nullptr);
    outcome_ptr clear(lt::storage_index_t storage, int piece);
    outcome_ptr priorities(lt::storage_index_t storage);
    outcome_ptr move(lt::storage_index_t storage, std::string const& path);
    outcome_ptr rename(lt::storage_index_t storage, int file, std::string const& name);
    outcome_ptr erase(lt::storage_index_t storage);

    /// Runs handlers until \p condition holds; fails the test if nothing happens for a minute.
    void run_until(std::function<bool()> const& condition);
    void run_until(outcome_ptr const& what) {
        run_until([&what] { return what->done(); });
    }
    /// Runs handlers until all operations have ended, and the io_context is out of work.
    void run_all();
    void poll();
    /// Whether every operation's handler was called exactly once, on this thread, and not from the posting call.
    [[nodiscard]] bool all_ended_well() const;
    [[nodiscard]] std::int64_t counter(int which);
    /// Forgets the operations that have ended.
    void forget_ended();

    lt::io_context context;
    lt::settings_pack settings;
    lt::counters counters;
    std::unique_ptr<lt::disk_interface> io;

private:
    template <class Post>
    outcome_ptr post(Post const& how);
    /// The beginning of every handler.
    void enter(outcome& what, lt::storage_error const& error = {});

    bool m_posting = false;
    int m_order = 0;
    std::vector<outcome_ptr> m_outcomes;
};

/// A backend with some images.
struct test_backend {
    explicit test_backend(std::int64_t pool_bytes = default_pool, int hash_threads = 2,
                          backend_options options = default_options())
        : shared(std::make_shared<backend>(pool_bytes, hash_threads, options)) {}
    test_image& add(image_plan const& plan);
    /// Without outstanding jobs: drops the cached blocks, and returns whether no block is in use and the cache's
    /// tables agree. Waits for workers that are about to finish.
    [[nodiscard]] bool all_given_back() const;

    std::shared_ptr<backend> shared;
    std::vector<std::unique_ptr<test_image>> images; ///< destroyed before the backend: see backend::make_image()
};

/// One image, one session.
struct disk_io_test {
    explicit disk_io_test(image_plan const& plan = test_image::awkward(), std::int64_t pool_bytes = default_pool,
                          int hash_threads = 2, backend_options options = default_options())
        : shared(pool_bytes, hash_threads, options)
        , image(shared.add(plan))
        , session(shared.shared)
        , storage(session.add(image)) {}
    disk_io_test(image_plan const& plan, engine_way const& way)
        : disk_io_test(way.applied_to(plan), default_pool, 2, way.options()) {}

    [[nodiscard]] int block_length(int piece, int start) const {
        return std::min(block_size, image.piece_size(piece) - start);
    }
    /// New content for a block, with zeros for padding.
    [[nodiscard]] bytes block(int piece, int start, std::uint32_t seed) const {
        return without_padding(image, image.storage->stream_offset(piece_index{piece}, start),
                               pattern(static_cast<std::size_t>(block_length(piece, start)), seed));
    }
    outcome_ptr write(int piece, int start, std::uint32_t seed) {
        return session.write(storage, piece, start, block(piece, start, seed));
    }
    std::vector<outcome_ptr> write_piece(int piece, std::uint32_t seed) {
        std::vector<outcome_ptr> posted;
        for (int start = 0; start < image.piece_size(piece); start += block_size) {
            posted.push_back(write(piece, start, seed + static_cast<std::uint32_t>(start)));
        }
        return posted;
    }
    [[nodiscard]] bytes piece(int piece) const {
        return image.stream(image.storage->stream_offset(piece_index{piece}, 0), image.piece_size(piece));
    }
    [[nodiscard]] bytes written_piece(int piece, std::uint32_t seed) const {
        bytes joined;
        for (int start = 0; start < image.piece_size(piece); start += block_size) {
            auto const part = block(piece, start, seed + static_cast<std::uint32_t>(start));
            joined.insert(joined.end(), part.begin(), part.end());
        }
        return joined;
    }

    test_backend shared;
    test_image& image;
    test_session session;
    lt::storage_holder storage;
};

} // namespace seedbed::test
