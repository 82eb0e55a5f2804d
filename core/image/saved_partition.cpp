#include "core/image/saved_partition.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "core/device/full_transfer.hpp"
#include "core/image/little_endian.hpp"
#include "core/image/source_checks.hpp"
#include "core/image/unpacked_files.hpp"

namespace seedbed {

namespace {

/// What libblkid reads at the start of a partition, except labels.
constexpr std::int64_t kept_start = 1 << 20;
/// What it reads to find the label of an NTFS or a FAT.
constexpr std::int64_t kept_label = 1 << 16;
constexpr std::size_t boot_sector = 512;

/// Where the label is: NTFS has it in its fourth file, FAT in its root folder. Nothing if these are neither.
std::optional<std::int64_t> label_place(std::span<std::byte const> boot) {
    std::string_view const text(reinterpret_cast<char const*>(boot.data()), boot.size());
    std::uint64_t const sector = little_endian_at<std::uint16_t>(boot, 0x0b);
    std::uint64_t const cluster = std::to_integer<std::uint64_t>(boot[0x0d]) * sector;
    if (text.substr(510, 2) != "\x55\xaa" || sector == 0 || cluster == 0) {
        return std::nullopt;
    }
    std::uint64_t place = 0;
    if (text.substr(3, 8) == "NTFS    ") {
        place = std::min(little_endian_at<std::uint64_t>(boot, 0x30), std::uint64_t{1} << 40) * cluster;
    } else if (text.substr(0x52, 3) == "FAT" || text.substr(0x36, 3) == "FAT") {
        std::uint64_t const reserved = little_endian_at<std::uint16_t>(boot, 0x0e);
        std::uint64_t const short_table = little_endian_at<std::uint16_t>(boot, 0x16);
        std::uint64_t const table =
            short_table != 0 ? short_table : std::uint64_t{little_endian_at<std::uint32_t>(boot, 0x24)};
        std::uint64_t const root = short_table != 0 ? 2 : std::uint64_t{little_endian_at<std::uint32_t>(boot, 0x2c)};
        place = (reserved + std::to_integer<std::uint64_t>(boot[0x10]) * table) * sector +
                (std::max<std::uint64_t>(root, 2) - 2) * cluster;
    } else {
        return std::nullopt;
    }
    return place < std::uint64_t{1} << 60 ? std::optional(static_cast<std::int64_t>(place)) : std::nullopt;
}

} // namespace

tl::unexpected<error> saved_partition::refuse(std::string const& reason) const {
    return tl::unexpected(error{name() + ": " + reason});
}

result<saved_partition> saved_partition::open(std::vector<std::filesystem::path> const& files) {
    auto source = open_unpacked(files);
    if (!source) {
        return tl::unexpected(source.error());
    }
    saved_partition made;
    made.m_source = std::move(*source);
    return made;
}

result<void> saved_partition::start_keeping() {
    m_kept.reset(::memfd_create("partition", MFD_CLOEXEC));
    if (!m_kept || ::ftruncate(m_kept.get(), size()) != 0) {
        return tl::unexpected(errno_error(name() + ": memory", errno));
    }
    m_to_keep = {{0, kept_start}};
    return {};
}

result<saved_partition> saved_partition::open_image(std::vector<std::filesystem::path> const& files) {
    auto made = open(files);
    if (!made) {
        return made;
    }
    auto image = partclone_image::open(*made->m_source);
    if (!image) {
        return tl::unexpected(image.error());
    }
    made->m_image = std::move(*image);
    if (auto const ready = made->start_keeping(); !ready) {
        return tl::unexpected(ready.error());
    }
    return made;
}

result<saved_partition> saved_partition::open_bytes(std::vector<std::filesystem::path> const& files,
                                                    std::int64_t size) {
    auto made = open(files);
    if (!made) {
        return made;
    }
    made->m_size = size;
    made->m_all = {{0, size}};
    if (auto const ready = made->start_keeping(); !ready) {
        return tl::unexpected(ready.error());
    }
    return made;
}

result<void> saved_partition::read_next(std::int64_t offset, std::span<std::byte> buffer) {
    while (!buffer.empty()) {
        std::size_t count = 0;
        if (m_image) {
            auto const run = m_image->next(buffer);
            if (!run) {
                return tl::unexpected(run.error());
            }
            if (!*run || (*run)->offset != offset) {
                return refuse("byte " + std::to_string(offset) + " does not follow in it");
            }
            count = (*run)->length;
        } else {
            auto const got = m_source->read(buffer);
            if (!got) {
                return tl::unexpected(got.error());
            }
            if (*got == 0) {
                return refuse("ends after " + std::to_string(m_position) + " bytes, its partition has " +
                              std::to_string(m_size));
            }
            count = *got;
            m_position += static_cast<std::int64_t>(count);
        }
        offset += static_cast<std::int64_t>(count);
        buffer = buffer.subspan(count);
    }
    return {};
}

result<void> saved_partition::read(std::int64_t offset, std::span<std::byte> buffer) {
    auto read = read_next(offset, buffer);
    return read ? keep(offset, buffer) : read;
}

result<void> saved_partition::keep(std::int64_t offset, std::span<std::byte const> bytes) {
    if (offset == 0 && bytes.size() >= boot_sector) {
        if (auto const place = label_place(bytes.first(boot_sector))) {
            m_to_keep.push_back({*place, kept_label});
        }
    }
    auto const end = offset + static_cast<std::int64_t>(bytes.size());
    auto const call = [this](std::byte const* from, std::size_t count, std::int64_t at) {
        return ::pwrite(m_kept.get(), from, count, at);
    };
    for (auto const& each : m_to_keep) {
        auto const first = std::max(offset, each.device_offset);
        auto const last = std::min(end, each.device_offset + each.length);
        if (first < last) {
            auto const part =
                bytes.subspan(static_cast<std::size_t>(first - offset), static_cast<std::size_t>(last - first));
            if (auto const code = transfer_fully(call, first, part); code != 0) {
                return tl::unexpected(errno_error(name() + ": memory", code));
            }
        }
    }
    return {};
}

result<void> saved_partition::finish() {
    std::array<std::byte, 1> more{};
    if (!m_image) {
        auto const got = m_source->read(more);
        if (!got) {
            return tl::unexpected(got.error());
        }
        return *got == 0 ? result<void>()
                         : refuse("has more than the " + std::to_string(m_size) + " bytes of its partition");
    }
    auto const run = m_image->next(more);
    if (!run) {
        return tl::unexpected(run.error());
    }
    return *run ? refuse("not all of it was read") : result<void>();
}

result<disk_content> saved_partition::content() const {
    auto const path = "/proc/self/fd/" + std::to_string(m_kept.get());
    auto found = probe_content(path);
    return found ? found : refuse(reason_without_path(found.error(), path));
}

std::string saved_partition::head() const {
    std::string bytes(source_head, '\0');
    auto const got = ::pread(m_kept.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return bytes;
}

} // namespace seedbed
