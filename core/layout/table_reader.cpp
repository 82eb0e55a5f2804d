#include "core/layout/table_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device/disk_content.hpp"
#include "core/foundation/unique_fd.hpp"
#include "core/layout/fdisk_context.hpp"

namespace seedbed {

namespace {

constexpr std::string_view gpt_magic = "EFI PART";

tl::unexpected<error> failure(std::string const& name, std::string const& reason) {
    return tl::unexpected(error{name + ": " + reason});
}

/// Reads as much as the file has.
result<std::string> read_at(int fd, std::string const& name, std::int64_t offset, std::size_t length) {
    std::string bytes(length, '\0');
    std::size_t done = 0;
    while (done < length) {
        auto const got = ::pread(fd, bytes.data() + done, length - done, offset + static_cast<std::int64_t>(done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return tl::unexpected(errno_error(name, errno));
        }
        if (got == 0) {
            break;
        }
        done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
}

std::string text_of(char const* text) {
    return text != nullptr ? text : "";
}

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
    return text;
}

std::optional<std::int64_t> label_number(::fdisk_context* context, int item) {
    fdisk_object<::fdisk_labelitem> const found(::fdisk_new_labelitem());
    std::uint64_t value = 0;
    if (!found || ::fdisk_get_disklabel_item(context, item, found.get()) != 0 ||
        ::fdisk_labelitem_get_data_u64(found.get(), &value) != 0 || value > (std::uint64_t{1} << 62)) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(value);
}

/// A regular file has the sector size at which a GPT's header is found; that of an MBR is unknown, and 512 on most
/// disks.
std::int32_t sector_size_of_file(int fd, std::string const& name) {
    auto const head = read_at(fd, name, 4096, gpt_magic.size());
    auto const small = read_at(fd, name, 512, gpt_magic.size());
    return head && small && *head == gpt_magic && *small != gpt_magic ? 4096 : 512;
}

/// Reads one table with libfdisk.
class table_reader {
public:
    table_reader(int fd, std::string const& name)
        : m_fd(fd)
        , m_name(name)
        , m_context(::fdisk_new_context()) {}

    result<disk_layout> read(std::int32_t sector_size) {
        if (auto const assigned = assign(sector_size); !assigned) {
            return tl::unexpected(assigned.error());
        }
        auto* const context = m_context.get();
        if (::fdisk_has_label(context) == 0) {
            return failure(m_name, "no partition table");
        }
        if (::fdisk_is_label(context, GPT) == 0 && ::fdisk_is_label(context, DOS) == 0) {
            return failure(m_name, "a partition table of type " +
                                       text_of(::fdisk_label_get_name(::fdisk_get_label(context, nullptr))) +
                                       "; only GPT and MBR are supported");
        }
        m_layout.table = ::fdisk_is_label(context, GPT) != 0 ? table_type::gpt : table_type::mbr;
        m_layout.sector_size = static_cast<std::int32_t>(::fdisk_get_sector_size(context));
        m_layout.disk_size = static_cast<std::int64_t>(::fdisk_get_nsectors(context)) * m_layout.sector_size;
        if (auto const label = read_label(); !label) {
            return tl::unexpected(label.error());
        }
        for (std::size_t i = 0; i < ::fdisk_get_npartitions(context); ++i) {
            if (::fdisk_is_partition_used(context, i) == 0) {
                continue;
            }
            if (auto const added = add_partition(i); !added) {
                return tl::unexpected(added.error());
            }
        }
        if (auto const valid = check_layout(m_layout); !valid) {
            return failure(m_name, "the partition table cannot be used: " + valid.error().message);
        }
        return std::move(m_layout);
    }

private:
    result<void> assign(std::int32_t sector_size) {
        struct ::stat status = {};
        if (!m_context) {
            return tl::unexpected(errno_error(m_name, ENOMEM));
        }
        if (::fstat(m_fd, &status) != 0) {
            return tl::unexpected(errno_error(m_name, errno));
        }
        auto* const context = m_context.get();
        if (S_ISREG(status.st_mode)) {
            auto const size = static_cast<unsigned>(sector_size != 0 ? sector_size : sector_size_of_file(m_fd, m_name));
            if (::fdisk_save_user_sector_size(context, size, size) != 0) {
                return tl::unexpected(errno_error(m_name, EINVAL));
            }
        }
        if (::fdisk_set_ask(context, &no_dialog, nullptr) != 0 || ::fdisk_disable_dialogs(context, 1) != 0) {
            return tl::unexpected(errno_error(m_name, EINVAL));
        }
        if (auto const code = ::fdisk_assign_device_by_fd(context, m_fd, m_name.c_str(), 1); code != 0) {
            return tl::unexpected(errno_error(m_name, -code));
        }
        return {};
    }

    result<void> read_label() {
        auto* const context = m_context.get();
        char* id = nullptr;
        if (::fdisk_get_disklabel_id(context, &id) != 0 || id == nullptr) {
            return failure(m_name, "the partition table has no id");
        }
        std::string const text = id;
        std::free(id); // allocated by libfdisk
        if (m_layout.table == table_type::mbr) {
            m_layout.id = text.starts_with("0x") ? text.substr(2) : text;
            return {};
        }
        m_layout.id = upper(text);
        if (::fdisk_gpt_is_hybrid(context) != 0) {
            return failure(m_name, "a GPT with a hybrid MBR, which Seedbed cannot restore");
        }
        auto const first = label_number(context, GPT_LABELITEM_FIRSTLBA);
        auto const entries = label_number(context, GPT_LABELITEM_ENTRIESALLOC);
        auto const entries_at = label_number(context, GPT_LABELITEM_ENTRIESLBA);
        if (!first || !entries || !entries_at || *entries > most_table_entries) {
            return failure(m_name, "a GPT without usable limits");
        }
        if (*entries_at != 2) {
            return failure(m_name, "a GPT whose entries start at sector " + std::to_string(*entries_at) +
                                       " instead of 2, which Seedbed cannot restore");
        }
        m_layout.entries = static_cast<std::int32_t>(*entries);
        m_layout.first_usable = *first * m_layout.sector_size;
        return {};
    }

    result<void> add_partition(std::size_t index) {
        auto* const context = m_context.get();
        ::fdisk_partition* raw = nullptr;
        if (auto const code = ::fdisk_get_partition(context, index, &raw); code != 0) {
            return tl::unexpected(errno_error(m_name + ": partition " + std::to_string(index + 1), -code));
        }
        fdisk_object<::fdisk_partition> const found(raw);
        constexpr auto most = std::uint64_t{1} << 50; // sectors, so that bytes fit
        auto const start = ::fdisk_partition_get_start(raw);
        auto const size = ::fdisk_partition_get_size(raw);
        auto* const type = ::fdisk_partition_get_type(raw);
        if (start > most || size > most || type == nullptr) {
            return failure(m_name, "partition " + std::to_string(index + 1) + " has no usable position or type");
        }
        partition_entry partition;
        partition.number = static_cast<int>(index) + 1;
        partition.start = static_cast<std::int64_t>(start) * m_layout.sector_size;
        partition.size = static_cast<std::int64_t>(size) * m_layout.sector_size;
        if (m_layout.table == table_type::gpt) {
            partition.type = upper(text_of(::fdisk_parttype_get_string(type)));
            partition.uuid = upper(text_of(::fdisk_partition_get_uuid(raw)));
            partition.name = text_of(::fdisk_partition_get_name(raw));
            if (auto const code = ::fdisk_gpt_get_partition_attrs(context, index, &partition.attributes); code != 0) {
                return tl::unexpected(errno_error(m_name + ": partition " + std::to_string(index + 1), -code));
            }
        } else {
            std::array<char, 9> code{};
            static_cast<void>(std::snprintf(code.data(), code.size(), "%02x", ::fdisk_parttype_get_code(type)));
            partition.type = code.data();
            partition.bootable = ::fdisk_partition_is_bootable(raw) > 0;
            partition.role = ::fdisk_partition_is_container(raw) != 0 ? partition_role::extended
                             : ::fdisk_partition_is_nested(raw) != 0  ? partition_role::logical
                                                                      : partition_role::primary;
        }
        m_layout.partitions.push_back(std::move(partition));
        return {};
    }

    int m_fd;
    std::string const& m_name;
    fdisk_object<::fdisk_context> m_context;
    disk_layout m_layout;
};

/// A swap area's magic is at the end of its first page.
std::int32_t swap_page(disk_content const& content) {
    for (auto const& signature : content.signatures) {
        if (signature.type == "swap") {
            return static_cast<std::int32_t>(signature.offset + signature.length);
        }
    }
    return 0;
}

result<void> add_content(disk_layout& layout, std::string const& path) {
    for (auto& partition : layout.partitions) {
        if (partition.role == partition_role::extended) {
            continue;
        }
        auto const found = probe_content(path, {partition.start, partition.size});
        if (!found) {
            return tl::unexpected(
                error{found.error().message + " (partition " + std::to_string(partition.number) + ")"});
        }
        partition.content = {found->type, found->label, found->uuid, partition.size, partition.size, swap_page(*found)};
        if (found->type != "swap") {
            partition.content.swap_page = 0;
        }
    }
    return {};
}

result<void> add_boot_loader(disk_layout& layout, int fd, std::string const& path) {
    auto const code = read_at(fd, path, 0, boot_code_size);
    if (!code) {
        return tl::unexpected(code.error());
    }
    if (code->find_first_not_of('\0') != std::string::npos) {
        layout.boot_code = *code;
    }
    std::int64_t const start = layout.table == table_type::gpt
                                   ? layout.sector_size + backup_table_size(layout.entries, layout.sector_size)
                                   : std::int64_t{layout.sector_size};
    auto end = std::min(longest_gap, usable_end(layout, layout.disk_size));
    for (auto const& partition : layout.partitions) {
        end = std::min(end, partition.start);
    }
    if (end > start) {
        layout.gap_start = start;
        layout.gap_size = end - start;
    }
    return {};
}

} // namespace

result<disk_layout> read_partition_table(int fd, std::string const& name, std::int32_t sector_size) {
    return table_reader(fd, name).read(sector_size);
}

result<disk_layout> read_disk_layout(std::string const& path) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        return tl::unexpected(errno_error(path, errno));
    }
    auto layout = read_partition_table(fd.get(), path);
    if (!layout) {
        return layout;
    }
    for (auto const& added : {add_content(*layout, path), add_boot_loader(*layout, fd.get(), path)}) {
        if (!added) {
            return tl::unexpected(added.error());
        }
    }
    if (auto const valid = check_layout(*layout); !valid) {
        return failure(path, "its layout cannot be used: " + valid.error().message);
    }
    return layout;
}

} // namespace seedbed
