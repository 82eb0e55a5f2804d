#pragma once

#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/disk_interface.hpp>
#include <libtorrent/storage_defs.hpp>
#include <libtorrent/version.hpp>

#if LIBTORRENT_VERSION_NUM >= 20100
#include <libtorrent/span.hpp>
#endif

namespace seedbed {

// The differences between the disk interfaces of libtorrent 2.0 and 2.1. No other file depends on the version.

#if LIBTORRENT_VERSION_NUM >= 20100

inline constexpr libtorrent::status_t disk_is_good{};
inline constexpr libtorrent::status_t disk_has_failed = libtorrent::disk_status::fatal_disk_error;
inline constexpr libtorrent::status_t disk_needs_check = libtorrent::disk_status::need_full_check;

/// Takes back the blocks that libtorrent was lent.
class block_lender : public libtorrent::buffer_allocator_interface {
public:
    void free_multiple_buffers(libtorrent::span<char*> blocks) final {
        for (auto* const block : blocks) {
            free_disk_buffer(block);
        }
    }

protected:
    ~block_lender() = default;
};

[[nodiscard]] inline libtorrent::disk_buffer_holder lend_block(block_lender& owner, char* data, int /*length*/) {
    return {owner, data};
}

#else

inline constexpr libtorrent::status_t disk_is_good = libtorrent::status_t::no_error;
inline constexpr libtorrent::status_t disk_has_failed = libtorrent::status_t::fatal_disk_error;
inline constexpr libtorrent::status_t disk_needs_check = libtorrent::status_t::need_full_check;

/// Takes back the blocks that libtorrent was lent.
class block_lender : public libtorrent::buffer_allocator_interface {
protected:
    ~block_lender() = default;
};

/// \param data where libtorrent's bytes begin in a block. \param length bytes. \return what returns the block to its
/// owner on destruction.
[[nodiscard]] inline libtorrent::disk_buffer_holder lend_block(block_lender& owner, char* data, int length) {
    return {owner, data, length};
}

#endif

} // namespace seedbed
