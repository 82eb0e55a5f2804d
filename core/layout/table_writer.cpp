#include "core/layout/table_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "core/foundation/unique_fd.hpp"
#include "core/layout/fdisk_context.hpp"
#include "core/layout/table_reader.hpp"

namespace seedbed {

namespace {

constexpr std::size_t copy_size = 1 << 20;

tl::unexpected<error> refuse(std::string const& reason) {
    return tl::unexpected(error{"cannot make the partition table: " + reason});
}

tl::unexpected<error> refuse(char const* what, int code) {
    return refuse(errno_error(what, code).message);
}

/// Makes one table with libfdisk. Each member returns 0 or a negative errno, as libfdisk does.
class table_maker {
public:
    explicit table_maker(disk_layout const& layout)
        : m_layout(layout)
        , m_context(::fdisk_new_context()) {}
    table_maker(table_maker const&) = delete;
    table_maker& operator=(table_maker const&) = delete;
    ~table_maker() {
        if (m_context) { // it and its script keep each other alive
            static_cast<void>(::fdisk_set_script(m_context.get(), nullptr));
        }
    }

    int open(int fd) {
        auto const size = static_cast<unsigned>(m_layout.sector_size);
        auto* const context = m_context.get();
        if (context == nullptr) {
            return -ENOMEM;
        }
        int code = ::fdisk_save_user_sector_size(context, size, size);
        code = code != 0 ? code : ::fdisk_set_ask(context, &no_dialog, nullptr);
        code = code != 0 ? code : ::fdisk_disable_dialogs(context, 1);
        return code != 0 ? code : ::fdisk_assign_device_by_fd(context, fd, "partition table", 0);
    }

    /// The label, from headers as sfdisk(8) reads them: there is no other way to a GPT's first usable sector.
    int make_label() {
        m_script.reset(::fdisk_new_script(m_context.get()));
        if (!m_script) {
            return -ENOMEM;
        }
        bool const gpt = m_layout.table == table_type::gpt;
        int code = header("label", gpt ? "gpt" : "dos");
        code = code != 0 ? code : header("label-id", (gpt ? "" : "0x") + m_layout.id);
        if (gpt) {
            code = code != 0 ? code : header("first-lba", std::to_string(m_layout.first_usable / m_layout.sector_size));
            code = code != 0 ? code : header("table-length", std::to_string(m_layout.entries));
        }
        code = code != 0 ? code : ::fdisk_apply_script_headers(m_context.get(), m_script.get());
        // With a script, libfdisk takes positions in an MBR as they are.
        return code != 0 ? code : ::fdisk_set_script(m_context.get(), m_script.get());
    }

    int add(partition_entry const& partition) {
        auto* const context = m_context.get();
        fdisk_object<::fdisk_partition> const made(::fdisk_new_partition());
        fdisk_object<::fdisk_parttype> const type(
            ::fdisk_label_parse_parttype(::fdisk_get_label(context, nullptr), partition.type.c_str()));
        if (!made || !type) {
            return -EINVAL;
        }
        auto const index = static_cast<std::size_t>(partition.number) - 1;
        auto const sectors = [&](std::int64_t bytes) {
            return static_cast<std::uint64_t>(bytes / m_layout.sector_size);
        };
        int code = ::fdisk_partition_set_partno(made.get(), index);
        code = code != 0 ? code : ::fdisk_partition_set_start(made.get(), sectors(partition.start));
        code = code != 0 ? code : ::fdisk_partition_set_size(made.get(), sectors(partition.size));
        code = code != 0 ? code : ::fdisk_partition_size_explicit(made.get(), 1);
        code = code != 0 ? code : ::fdisk_partition_set_type(made.get(), type.get());
        if (m_layout.table == table_type::gpt) {
            code = code != 0 ? code : ::fdisk_partition_set_uuid(made.get(), partition.uuid.c_str());
            code = code != 0 ? code : ::fdisk_partition_set_name(made.get(), partition.name.c_str());
        }
        std::size_t number = 0;
        code = code != 0 ? code : ::fdisk_add_partition(context, made.get(), &number);
        if (code == 0 && partition.attributes != 0) {
            code = ::fdisk_gpt_set_partition_attrs(context, number, partition.attributes);
        }
        if (code == 0 && partition.bootable) {
            code = ::fdisk_toggle_partition_flag(context, number, DOS_FLAG_ACTIVE);
        }
        return code;
    }

    int write() { return ::fdisk_write_disklabel(m_context.get()); }

private:
    int header(char const* name, std::string const& value) {
        return ::fdisk_script_set_header(m_script.get(), name, value.c_str());
    }

    disk_layout const& m_layout;
    fdisk_object<::fdisk_context> m_context;
    fdisk_object<::fdisk_script> m_script;
};

result<void> write_to_memory(disk_layout const& layout, int fd) {
    table_maker maker(layout);
    if (auto const code = maker.open(fd); code != 0) {
        return refuse("libfdisk", -code);
    }
    if (auto const code = maker.make_label(); code != 0) {
        return refuse("libfdisk, new table", -code);
    }
    // The extended partition must exist before those in it: all are in the order of numbers.
    for (auto const& partition : layout.partitions) {
        if (auto const code = maker.add(partition); code != 0) {
            return refuse(("libfdisk, " + describe(partition)).c_str(), -code);
        }
    }
    if (auto const code = maker.write(); code != 0) {
        return refuse("libfdisk, write", -code);
    }
    return {};
}

/// Compares the tables only. \param wanted, found without contents, boot code and gap.
result<void> compare(disk_layout const& wanted, disk_layout const& found) {
    for (auto const& partition : wanted.partitions) {
        auto const* const other = find_partition(found, partition.number);
        if (other == nullptr || *other != partition) {
            return refuse("libfdisk does not write " + describe(partition) + " as the image has it");
        }
    }
    return wanted == found ? result<void>() : refuse("libfdisk does not write it as the image has it");
}

disk_layout table_only(disk_layout layout) {
    layout.boot_code.clear();
    layout.gap_start = layout.gap_size = 0;
    for (auto& partition : layout.partitions) {
        partition.content = {};
    }
    return layout;
}

result<std::vector<std::byte>> read_memory(int fd, std::int64_t offset, std::int64_t length) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(length));
    auto const got = ::pread(fd, bytes.data(), bytes.size(), offset);
    if (got < 0) {
        return refuse("read", errno);
    }
    return got == length ? result<std::vector<std::byte>>(std::move(bytes)) : refuse("the copy in memory is short");
}

bool is_zero(std::span<std::byte const> bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

/// The sectors of [begin, end) that are not zero, adjacent ones joined.
result<void> add_sectors(int fd, std::int64_t begin, std::int64_t end, std::int64_t sector, table_bytes& table) {
    for (auto at = begin; at < end; at += static_cast<std::int64_t>(copy_size)) {
        auto const bytes = read_memory(fd, at, std::min(static_cast<std::int64_t>(copy_size), end - at));
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        for (std::size_t i = 0; i < bytes->size(); i += static_cast<std::size_t>(sector)) {
            std::span const one(bytes->data() + i, static_cast<std::size_t>(sector));
            if (is_zero(one)) {
                continue;
            }
            auto const offset = at + static_cast<std::int64_t>(i);
            auto& runs = table.runs;
            if (runs.empty() || runs.back().offset + static_cast<std::int64_t>(runs.back().bytes.size()) != offset) {
                runs.push_back({offset, {}});
            }
            runs.back().bytes.insert(runs.back().bytes.end(), one.begin(), one.end());
        }
    }
    return {};
}

/// An MBR's other tables: one sector before each logical partition.
result<void> add_extended(disk_layout const& layout, int fd, table_bytes& table) {
    std::int64_t const sector = layout.sector_size;
    for (auto at = sector; at < layout.disk_size;) {
        auto const begin = ::lseek(fd, at, SEEK_DATA);
        if (begin < 0 && errno == ENXIO) {
            return {};
        }
        auto const end = begin < 0 ? -1 : ::lseek(fd, begin, SEEK_HOLE);
        if (end < 0) {
            return refuse("lseek", errno);
        }
        auto const first = std::max(begin / sector * sector, sector);
        at = std::min((end + sector - 1) / sector * sector, layout.disk_size);
        if (auto added = add_sectors(fd, first, at, sector, table); !added) {
            return added;
        }
    }
    return {};
}

/// A GPT's headers and entries at both ends, unused entries included.
result<void> add_gpt(disk_layout const& layout, int fd, table_bytes& table) {
    auto const size = backup_table_size(layout.entries, layout.sector_size);
    for (auto const offset : {layout.disk_size - size, std::int64_t{layout.sector_size}}) {
        auto bytes = read_memory(fd, offset, size);
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        table.runs.push_back({offset, std::move(*bytes)});
    }
    return {};
}

} // namespace

result<table_bytes> make_table(disk_layout const& layout) {
    unique_fd const fd(::memfd_create("partition table", MFD_CLOEXEC));
    if (!fd || ::ftruncate(fd.get(), layout.disk_size) != 0) {
        return refuse("memory", errno);
    }
    if (auto const written = write_to_memory(layout, fd.get()); !written) {
        return tl::unexpected(written.error());
    }
    auto const found = read_partition_table(fd.get(), "the copy in memory", layout.sector_size);
    if (!found) {
        return refuse(found.error().message);
    }
    if (auto const same = compare(table_only(layout), *found); !same) {
        return tl::unexpected(same.error());
    }
    table_bytes table;
    auto const added =
        layout.table == table_type::gpt ? add_gpt(layout, fd.get(), table) : add_extended(layout, fd.get(), table);
    auto first = read_memory(fd.get(), 0, layout.sector_size);
    if (!added || !first) {
        return tl::unexpected(!added ? added.error() : first.error());
    }
    std::ranges::copy(std::as_bytes(std::span(layout.boot_code)), first->begin());
    table.runs.push_back({0, std::move(*first)});
    return table;
}

result<void> write_table(block_device& device, table_bytes const& table) {
    auto const failed = [](io_error const& e) { return tl::unexpected(error{e.message()}); };
    for (auto const& run : table.runs) {
        if (&run == &table.runs.back()) { // what it points to is durable
            if (auto const flushed = device.flush(); !flushed) {
                return failed(flushed.error());
            }
        }
        if (auto const written = device.write(run.offset, run.bytes); !written) {
            return failed(written.error());
        }
    }
    if (auto const flushed = device.flush(); !flushed) {
        return failed(flushed.error());
    }
    for (auto const& run : table.runs) {
        std::vector<std::byte> bytes(run.bytes.size());
        if (auto const read = device.read_medium(run.offset, bytes); !read) {
            return failed(read.error());
        }
        if (bytes != run.bytes) {
            return tl::unexpected(error{device.path() +
                                        ": the disk does not return the partition table that was written, at "
                                        "offset " +
                                        std::to_string(run.offset)});
        }
    }
    return {};
}

} // namespace seedbed
