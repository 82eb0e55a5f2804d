#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"
#include "core/image/block_layout.hpp"
#include "core/image/chunk_transfer.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_rebuild.hpp"
#include "core/image/piece_errors.hpp"
#include "core/image/piece_supply.hpp"
#include "core/image/withdrawn_pieces.hpp"

namespace seedbed {

struct packed_target_options {
    chunk_placement placement = {};
    /// Bytes of packed pieces to keep for other peers. Pieces that are arriving are kept in any case, and pieces that
    /// peers have requested may take a quarter more.
    std::int64_t memory = std::int64_t{256} << 20;
    int threads = 4;                                ///< pieces that are unpacked or rebuilt at a time, at most
    std::int64_t scratch = std::int64_t{256} << 20; ///< bytes for that; at least one piece is
};

/// The target of a packed image: a device of the packed file's bytes, which stores the image on another device.
///
/// A write keeps the packed bytes in memory. The one that completes a piece authenticates it by its SHA-1, compares its
/// chunk table with the index, unpacks all of it, and only then writes its chunks to the device, where the placement
/// puts them. So a slow device holds up the writes, and through them the peers. No part of a piece with a wrong SHA-1
/// is written: the write succeeds, and libtorrent finds the wrong hash itself. A piece that is authentic and violates
/// the format is an error of the write, piece_refused.
///
/// Complete pieces remain in memory while the budget lasts; then the oldest one is evicted, but one that no peer has
/// requested goes first. A read of an evicted piece rebuilds it from the device (see rebuild_piece()); if that is not
/// possible, the piece is withdrawn, and the read fails with piece_withdrawn. If the device has the right bytes, but
/// zstd does not make the right frames of them, no piece can be rebuilt: all that are not in memory are withdrawn, and
/// from then on each one that is evicted.
///
/// Writes must consist of whole blocks of block_size, or end with the piece. Each block of a piece is written once; a
/// block that differs from that of a complete piece starts the piece again. Reads of bytes that have not arrived give
/// zeros.
///
/// Threads: every member may be called from any thread, and blocks for the device.
class packed_target final : public block_device {
public:
    /// \param device large enough for all chunks where the placement puts them.
    packed_target(std::shared_ptr<packed_image const> image, std::unique_ptr<block_device> device,
                  packed_target_options options);
    ~packed_target() override;

    [[nodiscard]] std::string const& path() const noexcept override { return m_device->path(); }
    /// Of the packed file.
    [[nodiscard]] std::int64_t size() const noexcept override { return m_image->packed_size.value(); }
    [[nodiscard]] bool read_only() const noexcept override { return m_device->read_only(); }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override;
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override;
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override;
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) override;
    [[nodiscard]] result<void, io_error> flush() override { return m_device->flush(); }
    void forget_failed_flush() override { m_device->forget_failed_flush(); }
    /// Rebuilds the pieces from the medium, whether or not they are in memory.
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override;

    /// Whether the medium holds all chunks of a piece, compared by their XXH3; nothing if \p cancelled was set before
    /// all of them were read.
    [[nodiscard]] result<std::optional<bool>, io_error> matches(piece_index piece, std::atomic<bool> const& cancelled);

    [[nodiscard]] packed_image const& image() const noexcept { return *m_image; }
    /// The device that stores the image.
    [[nodiscard]] block_device& device() noexcept { return *m_device; }
    [[nodiscard]] chunk_placement const& placement() const noexcept { return m_options.placement; }
    /// The bytes of the device that a piece holds, in order; adjacent chunks are joined.
    [[nodiscard]] std::vector<extent> extents_of(piece_index piece) const;
    /// Those of all pieces.
    [[nodiscard]] result<extent_map> extents() const;

    // The write that completes a piece computes its SHA-1. Who needs it then takes it, so that it is computed once.

    /// A block of the piece will be written: a SHA-1 that was computed before is no longer that of the piece.
    void expect_sha1(piece_index piece) noexcept;
    /// Calls \p call once when the SHA-1 of the piece is there, on the thread that has computed it, before the piece is
    /// unpacked; or at once. It is never called if no write completes the piece.
    void when_sha1(piece_index piece, std::function<void()> call);
    /// The SHA-1 of the piece, once; nothing if no write has completed the piece since.
    [[nodiscard]] std::optional<sha1_digest> take_sha1(piece_index piece);
    /// Writes have failed: drops the SHA-1 of all pieces.
    void forget_sha1s() noexcept;

    /// The pieces that can no longer be given to peers; also pieces that have never arrived. They are until they are
    /// written again.
    [[nodiscard]] std::shared_ptr<withdrawn_pieces const> withdrawn() const noexcept { return m_withdrawn; }
    /// At hand are the pieces in memory, and those that have been rebuilt since the device may have changed.
    [[nodiscard]] std::shared_ptr<piece_supply> supply() const noexcept { return m_supply; }
    /// Something else than this target has written to the device.
    void device_may_have_changed();
    /// Bytes of packed pieces in memory.
    [[nodiscard]] std::int64_t held_bytes() const;
    /// Bytes of the device, in total.
    [[nodiscard]] std::int64_t bytes_read() const noexcept { return m_bytes_read.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t bytes_written() const noexcept {
        return m_bytes_written.load(std::memory_order_relaxed);
    }

private:
    struct held_piece;
    using held_ptr = std::shared_ptr<held_piece>;
    struct scratch;
    class scratch_pool;
    /// A part of a transfer that lies in one piece.
    struct piece_part {
        piece_index piece;
        std::size_t begin = 0; ///< bytes from the start of the piece
        std::size_t length = 0;
    };

    template <class Transfer>
    result<void, io_error> for_each_part(std::int64_t offset, std::int64_t length, Transfer const& transfer);
    [[nodiscard]] result<void, io_error> check_range(io_operation what, std::int64_t offset, std::int64_t length) const;
    [[nodiscard]] io_error failure(io_operation what, piece_index piece, int code, std::string detail = {}) const;

    // Writing.
    [[nodiscard]] held_ptr hold_for_write(piece_part const& part, std::span<std::byte const> bytes);
    [[nodiscard]] result<void, io_error> write_part(piece_part const& part, std::span<std::byte const> bytes);
    [[nodiscard]] bool note_arrived(held_piece& held, piece_part const& part);
    void note_sha1(piece_index piece, sha1_digest const& sha1);
    [[nodiscard]] result<void, io_error> unpack(piece_index piece, std::span<std::byte const> bytes);
    void forget(held_piece& held, piece_part const& part);
    void keep(piece_index piece, held_ptr const& held);
    void drop(piece_index piece, held_ptr const& held);

    // Reading.
    [[nodiscard]] result<held_ptr, io_error> find(piece_index piece);
    [[nodiscard]] result<held_ptr, io_error> rebuild(piece_index piece, held_ptr const& into);
    [[nodiscard]] result<rebuilt_piece, io_error> rebuild_to(piece_index piece, chunk_source from,
                                                             std::span<std::byte> bytes);
    [[nodiscard]] io_error withdrawn_failure(piece_index piece) const;
    void copy_out(held_piece const& held, piece_part const& part, std::span<std::byte> to);

    // With m_mutex held.
    [[nodiscard]] held_ptr make_held(piece_index piece);
    void let_go_oldest();
    std::deque<held_ptr>::iterator let_go(std::deque<held_ptr>::const_iterator const& which);
    void set_rebuildable(piece_index piece, bool rebuildable);
    void withdraw_evicted();

    std::shared_ptr<packed_image const> const m_image;
    std::unique_ptr<block_device> const m_device;
    packed_target_options const m_options;
    block_layout const m_layout;
    std::int64_t const m_budget;     ///< bytes
    std::int64_t const m_most_bytes; ///< with pieces that peers have requested
    std::unique_ptr<scratch_pool> const m_scratches;
    std::atomic<std::int64_t> m_bytes_read{0};
    std::atomic<std::int64_t> m_bytes_written{0};

    std::atomic<std::size_t> m_known{0}; ///< size of m_sha1s

    mutable std::mutex m_mutex; ///< guards the members below, and the pieces except for their bytes
    std::condition_variable m_rebuilt;
    std::unordered_map<std::int32_t, held_ptr> m_held;     ///< by number
    std::deque<held_ptr> m_complete;                       ///< the complete ones, oldest first
    std::int64_t m_held_bytes = 0;                         ///< of all of them
    std::set<std::int32_t> m_wrong;                        ///< pieces that arrived with a wrong SHA-1
    std::unordered_map<std::int32_t, sha1_digest> m_sha1s; ///< not taken yet
    std::unordered_multimap<std::int32_t, std::function<void()>> m_when_sha1;
    bool m_can_rebuild = true;       ///< zstd makes the right frames, as far as known
    std::vector<bool> m_rebuildable; ///< of each piece: has been rebuilt since the device may have changed
    std::shared_ptr<withdrawn_pieces> const m_withdrawn; ///< changed only under the mutex
    std::shared_ptr<piece_supply> const m_supply;        ///< what is at hand is changed only under the mutex
};

} // namespace seedbed
