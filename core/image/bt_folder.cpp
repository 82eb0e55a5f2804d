#include "core/image/bt_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device/full_transfer.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/hex_number.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

class bt_folder final : public block_device {
public:
    bt_folder(std::filesystem::path folder, extent_map const& extents)
        : m_folder(std::move(folder))
        , m_path(m_folder.string())
        , m_extents(extents) {}

    [[nodiscard]] std::string const& path() const noexcept override { return m_path; }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_extents.device_end(); }
    [[nodiscard]] bool read_only() const noexcept override { return true; }

    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override {
        iovec const whole{buffer.data(), buffer.size()};
        return read(offset, std::span(&whole, 1));
    }

    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override {
        std::int64_t left = 0;
        for (auto const& piece : memory) {
            left += static_cast<std::int64_t>(piece.iov_len);
        }
        memory_cursor to(memory);
        while (left > 0) {
            auto const* const where = find(offset);
            if (where == nullptr) {
                return failure(io_operation::read, m_path, offset, left, ENXIO);
            }
            auto const within = offset - where->device_offset;
            auto const part = std::min(left, where->length - within);
            if (auto done = read_file(*where, within, part, to); !done) {
                return done;
            }
            to.skip(part);
            offset += part;
            left -= part;
        }
        return {};
    }

    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override {
        return read(offset, buffer);
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override {
        return failure(io_operation::write, m_path, offset, static_cast<std::int64_t>(buffer.size()), EROFS);
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> /*memory*/) override {
        return failure(io_operation::write, m_path, offset, 0, EROFS);
    }
    [[nodiscard]] result<void, io_error> flush() override { return {}; }

    [[nodiscard]] std::filesystem::path file_of(extent const& e) const {
        return m_folder / to_hex_offset(e.device_offset);
    }

private:
    /// The extent that contains a byte of the device, or null.
    [[nodiscard]] extent const* find(std::int64_t offset) const {
        auto const& all = m_extents.extents();
        auto const after = std::ranges::upper_bound(all, offset, {}, &extent::device_offset);
        if (after == all.begin()) {
            return nullptr;
        }
        auto const& before = *(after - 1);
        return offset < before.device_offset + before.length ? &before : nullptr;
    }

    [[nodiscard]] result<void, io_error> read_file(extent const& e, std::int64_t offset, std::int64_t length,
                                                   memory_cursor const& to) const {
        auto const file = file_of(e);
        unique_fd const fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        if (!fd) {
            return failure(io_operation::open, file.string(), 0, 0, errno);
        }
        auto const call = [&fd](iovec const* pieces, int count, std::int64_t at) {
            return ::preadv(fd.get(), pieces, count, at);
        };
        if (int const code = transfer_fully(call, offset, length, to); code != 0) {
            return failure(io_operation::read, file.string(), offset, length, code);
        }
        return {};
    }

    [[nodiscard]] static tl::unexpected<io_error> failure(io_operation what, std::string const& file,
                                                          std::int64_t offset, std::int64_t length, int code) {
        return tl::make_unexpected(io_error{what, file, offset, length, code});
    }

    std::filesystem::path const m_folder;
    std::string const m_path;
    extent_map const& m_extents;
};

} // namespace

result<std::unique_ptr<block_device>> open_bt_folder(std::filesystem::path const& folder, extent_map const& extents) {
    auto device = std::make_unique<bt_folder>(folder, extents);
    for (auto const& e : extents.extents()) {
        auto const file = device->file_of(e);
        struct ::stat status = {};
        if (::stat(file.c_str(), &status) != 0) {
            return tl::unexpected(errno_error(file.string(), errno));
        }
        if (!S_ISREG(status.st_mode)) {
            return tl::unexpected(error{file.string() + ": not a regular file"});
        }
        if (status.st_size != e.length) {
            return tl::unexpected(error{file.string() + ": has " + format_count(status.st_size, "byte") +
                                        ", the extent " + std::to_string(e.length)});
        }
    }
    return device;
}

} // namespace seedbed
