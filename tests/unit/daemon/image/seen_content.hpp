#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/disk_content.hpp"
#include "core/layout/table_reader.hpp"
#include "core/layout/table_writer.hpp"
#include "support/sample_layouts.hpp"
#include "support/temp_dir.hpp"

namespace seedbed::test {

using device_content = std::vector<std::byte>;

/// A GPT for a disk of that size.
inline disk_layout gpt_layout(std::int64_t size, std::vector<partition_entry> partitions) {
    auto layout = sample_gpt();
    layout.disk_size = size;
    layout.partitions = std::move(partitions);
    return layout;
}

/// The content of a disk, with a partition table.
inline device_content with_table(device_content bytes, disk_layout const& layout) {
    auto const table = make_table(layout);
    REQUIRE(table);
    for (auto const& run : table->runs) {
        std::ranges::copy(run.bytes, bytes.begin() + run.offset);
    }
    return bytes;
}

/// The content of a partition, recognised by one sector, which is not the first.
inline device_content with_swap_signature(device_content bytes, char label) {
    std::ranges::fill(std::span(bytes).first(8192), std::byte{});
    std::ranges::copy(std::as_bytes(std::span("SWAPSPACE2", 10)), bytes.begin() + 4086);
    bytes[1024] = std::byte{1};   // its version
    bytes[1028] = std::byte{100}; // its last page
    bytes[1052] = static_cast<std::byte>(label);
    return bytes;
}

/// Writes a file without truncating it, which would make the kernel give back all its memory.
inline void overwrite_file(std::string const& path, device_content const& bytes) {
    auto const kept = std::filesystem::exists(path) ? std::ios::in : std::ios::trunc;
    std::ofstream out(path, std::ios::binary | std::ios::out | kept);
    REQUIRE(out.write(reinterpret_cast<char const*>(bytes.data()), std::ssize(bytes)));
}

/// Shows the content of a device to libblkid and libfdisk, which read a file in memory.
class content_viewer {
public:
    /// The path of a file with this content, until the next call.
    [[nodiscard]] std::string file_of(device_content const& bytes) const {
        auto path = (m_folder / "seen").string();
        overwrite_file(path, bytes);
        return path;
    }
    /// What a system recognises; empty: nothing.
    [[nodiscard]] std::string shown_by(device_content const& bytes) const {
        auto const file = file_of(bytes);
        auto const found = probe_content(file).value();
        auto shown = found.partition_table + found.type + found.label;
        if (auto const layout = read_disk_layout(file)) {
            shown += ", " + std::to_string(layout->partitions.size()) + " partitions";
        }
        return shown;
    }
    [[nodiscard]] temp_dir const& folder() const noexcept { return m_folder; }

private:
    temp_dir const m_folder{std::filesystem::is_directory("/dev/shm") ? "/dev/shm"
                                                                      : std::filesystem::temp_directory_path()};
};

} // namespace seedbed::test
