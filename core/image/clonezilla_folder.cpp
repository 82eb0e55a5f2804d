#include "core/image/clonezilla_folder.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/image/input_file.hpp"
#include "core/layout/sfdisk_dump.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view table_suffix = "-pt.sf";
/// Follows the name of the file system, or "dd", in the name of each file with a partition's content.
constexpr std::string_view content_mark = "-ptcl-img";
constexpr std::int64_t longest_small_file = 1 << 20;
constexpr std::int64_t longest_gap_file = 64 << 20;
constexpr std::int64_t mbr_sector = 512;
constexpr std::int32_t usual_swap_page = 4096;

/// Reads one folder.
class folder_reader {
public:
    explicit folder_reader(fs::path folder)
        : m_folder(std::move(folder)) {}

    [[nodiscard]] result<clonezilla_folder> run() {
        for (auto const step : {&folder_reader::list, &folder_reader::read_table, &folder_reader::read_boot_code,
                                &folder_reader::read_gap, &folder_reader::find_partitions}) {
            if (auto const done = (this->*step)(); !done) {
                return tl::unexpected(done.error());
            }
        }
        if (auto const valid = check_layout(m_found.layout); !valid) {
            return refuse(valid.error().message);
        }
        return std::move(m_found);
    }

private:
    [[nodiscard]] tl::unexpected<error> refuse(std::string const& reason) const {
        return tl::unexpected(error{m_folder.string() + ": " + reason});
    }
    [[nodiscard]] tl::unexpected<error> refuse_twice(std::string const& name, std::string const& first,
                                                     std::string_view second) const {
        return refuse("has " + name + " twice: " + first + " and " + std::string(second));
    }
    [[nodiscard]] bool has(std::string const& name) const { return std::ranges::binary_search(m_names, name); }
    [[nodiscard]] result<std::string> read(std::string const& name, std::int64_t limit = longest_small_file) const {
        return read_input_file(m_folder / name, limit);
    }

    /// The names of all files, sorted.
    result<void> list() {
        std::error_code ec;
        for (fs::directory_iterator entry(m_folder, ec), end; !ec && entry != end; entry.increment(ec)) {
            m_names.push_back(entry->path().filename().string());
        }
        if (ec) {
            return refuse(ec.message());
        }
        std::ranges::sort(m_names);
        return {};
    }

    result<void> read_table() {
        for (std::string_view const name : m_names) {
            if (!name.ends_with(table_suffix)) {
                continue;
            }
            auto const disk = name.substr(0, name.size() - table_suffix.size());
            if (!m_found.disk.empty()) {
                return refuse("holds several disks, " + m_found.disk + " and " + std::string(disk) +
                              "; copy or link the files of one of them into a folder of its own");
            }
            m_found.disk = disk;
        }
        if (m_found.disk.empty()) {
            return refuse("not a Clonezilla folder: it has no DISK" + std::string(table_suffix));
        }
        auto const name = m_found.disk + std::string(table_suffix);
        auto const text = read(name);
        if (!text) {
            return tl::unexpected(text.error());
        }
        auto layout = parse_sfdisk_dump(*text, (m_folder / name).string());
        if (!layout) {
            return tl::unexpected(layout.error());
        }
        m_found.layout = std::move(*layout);
        return {};
    }

    result<void> read_boot_code() {
        for (auto const* const suffix : {"-mbr", "-gpt-1st"}) {
            auto const name = m_found.disk + suffix;
            if (!has(name)) {
                continue;
            }
            auto sector = read(name);
            if (!sector) {
                return tl::unexpected(sector.error());
            }
            if (sector->size() < boot_code_size) {
                return refuse(name + " has less than " + std::to_string(boot_code_size) + " bytes");
            }
            sector->resize(boot_code_size);
            if (std::ranges::any_of(*sector, [](char byte) { return byte != '\0'; })) {
                m_found.layout.boot_code = std::move(*sector);
            }
            return {};
        }
        return {};
    }

    /// Clonezilla saves the sectors between an MBR and the first partition, and none of a GPT.
    result<void> read_gap() {
        auto& layout = m_found.layout;
        auto const name = m_found.disk + "-hidden-data-after-mbr";
        if (layout.table == table_type::gpt || layout.sector_size != mbr_sector || !has(name)) {
            return {};
        }
        auto bytes = read(name, longest_gap_file);
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        auto end = longest_gap;
        for (auto const& partition : layout.partitions) {
            end = std::min(end, partition.start);
        }
        auto const size =
            std::min(end - mbr_sector, static_cast<std::int64_t>(bytes->size())) / mbr_sector * mbr_sector;
        if (size > 0) {
            bytes->resize(static_cast<std::size_t>(size));
            layout.gap_start = mbr_sector;
            layout.gap_size = size;
            m_found.gap = std::move(*bytes);
        }
        return {};
    }

    result<void> find_partitions() {
        if (auto known = check_parts(); !known) {
            return known;
        }
        for (auto& partition : m_found.layout.partitions) {
            if (partition.role == partition_role::extended) {
                continue;
            }
            if (auto found = find_content(partition); !found) {
                return found;
            }
        }
        std::ranges::sort(m_found.partitions, {}, [this](clonezilla_partition const& partition) {
            return find_partition(m_found.layout, partition.number)->start;
        });
        return {};
    }

    /// The file "parts" lists everything that was saved: partitions of this disk only.
    result<void> check_parts() {
        if (!has("parts")) {
            return {};
        }
        auto const text = read("parts");
        if (!text) {
            return tl::unexpected(text.error());
        }
        for (std::string_view rest = *text; !rest.empty();) {
            auto const end = std::min(rest.find_first_of(" \t\r\n"), rest.size());
            auto const name = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (name.empty()) {
                continue;
            }
            if (auto const number = number_of(name); !number || find_partition(m_found.layout, *number) == nullptr) {
                return refuse("has saved " + std::string(name) + ", which is not a partition of " + m_found.disk +
                              "; logical volumes and other disks are not supported");
            }
            m_saved.emplace_back(name);
        }
        return {};
    }

    [[nodiscard]] std::optional<int> number_of(std::string_view name) const {
        if (!name.starts_with(m_found.disk)) {
            return std::nullopt;
        }
        name.remove_prefix(m_found.disk.size());
        if (name.starts_with('p')) {
            name.remove_prefix(1);
        }
        int number = 0;
        auto const* const end = name.data() + name.size();
        auto const [stop, ec] = std::from_chars(name.data(), end, number);
        return ec == std::errc{} && stop == end ? std::optional(number) : std::nullopt;
    }

    /// As the kernel names partitions: "sda1", "nvme0n1p1".
    [[nodiscard]] std::string name_of(int number) const {
        auto const digit = m_found.disk.back() >= '0' && m_found.disk.back() <= '9';
        return m_found.disk + (digit ? "p" : "") + std::to_string(number);
    }

    result<void> find_content(partition_entry& partition) {
        auto const name = name_of(partition.number);
        if (auto const info = "swappt-" + name + ".info"; has(info)) {
            return read_swap(info, partition);
        }
        clonezilla_partition found{partition.number, {}, false};
        auto const prefix = name + '.';
        std::string first; ///< up to the mark
        for (std::string_view const file : m_names) {
            auto const mark = file.find(content_mark);
            if (!file.starts_with(prefix) || mark == std::string_view::npos) {
                continue;
            }
            auto const start = file.substr(0, mark);
            if (!first.empty() && start != first) {
                return refuse_twice(name, first, start);
            }
            first = start;
            found.files.push_back(m_folder / file);
        }
        if (found.files.empty()) {
            if (std::ranges::find(m_saved, name) != m_saved.end()) {
                return refuse("has no partclone image of " + name + ", though its file \"parts\" lists it");
            }
            m_found.missing.push_back(partition.number);
            return {};
        }
        found.all_bytes = first.ends_with(".dd");
        m_found.partitions.push_back(std::move(found));
        return {};
    }

    /// Two lines for a shell: UUID="..." and LABEL="...".
    result<void> read_swap(std::string const& name, partition_entry& partition) {
        auto const text = read(name);
        if (!text) {
            return tl::unexpected(text.error());
        }
        auto const value = [&text](std::string const& key) -> std::string {
            auto const at = text->find(key + "=\"");
            auto const begin = at == std::string::npos ? at : at + key.size() + 2;
            auto const end = at == std::string::npos ? at : text->find('"', begin);
            return end == std::string::npos ? "" : text->substr(begin, end - begin);
        };
        partition.content = {"swap", value("LABEL"), value("UUID"), partition.size, 0, usual_swap_page};
        auto const& uuid = partition.content.uuid;
        if (!uuid.empty() &&
            (uuid.size() != 36 || uuid.find_first_not_of("0123456789abcdefABCDEF-") != std::string::npos)) {
            return refuse(name + ": not a UUID: " + uuid);
        }
        return {};
    }

    fs::path const m_folder;
    std::vector<std::string> m_names;
    std::vector<std::string> m_saved; ///< names of partitions
    clonezilla_folder m_found;
};

} // namespace

result<clonezilla_folder> read_clonezilla_folder(fs::path const& folder) {
    return folder_reader(folder).run();
}

} // namespace seedbed
