#include "core/device/sysfs.hpp"

#include <sys/sysmacros.h>

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

namespace seedbed {

namespace fs = std::filesystem;

std::string number_pair(dev_t device) {
    return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

std::optional<dev_t> parse_number_pair(std::string const& text) {
    std::istringstream in(text);
    unsigned first = 0;
    unsigned second = 0;
    char colon = 0;
    if (!(in >> first >> colon >> second) || colon != ':') {
        return std::nullopt;
    }
    return makedev(first, second);
}

std::optional<std::string> read_file(fs::path const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        return std::nullopt;
    }
    std::string text;
    std::array<char, 4096> part{};
    do {
        in.read(part.data(), part.size()); // unlike a stream buffer iterator, read() does not throw on an error
        text.append(part.data(), static_cast<std::size_t>(in.gcount()));
    } while (in);
    return in.bad() ? std::nullopt : std::optional(std::move(text));
}

std::string read_text(fs::path const& path) {
    return read_file(path).value_or("");
}

std::int64_t read_number(fs::path const& path) {
    auto const text = trimmed(read_text(path));
    std::int64_t value = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size() ? value : 0;
}

std::string trimmed(std::string_view text) {
    constexpr std::string_view blank(" \t\r\n\0", 5);
    auto const begin = text.find_first_not_of(blank);
    if (begin == std::string_view::npos) {
        return {};
    }
    return std::string(text.substr(begin, text.find_last_not_of(blank) - begin + 1));
}

fs::path sysfs_folder(dev_t device, fs::path const& sysfs) {
    std::error_code ec;
    fs::path folder = fs::canonical(sysfs / "dev" / "block" / number_pair(device), ec);
    return ec ? fs::path{} : folder;
}

bool is_partition(fs::path const& folder) {
    std::error_code ec;
    return fs::exists(folder / "partition", ec);
}

std::vector<fs::path> subfolders(fs::path const& folder) {
    std::vector<fs::path> found;
    std::error_code ec;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
        std::error_code is_ec;
        if (it->is_directory(is_ec)) {
            found.push_back(it->path());
        }
    }
    return found;
}

std::vector<parent_device> parents_of(fs::path const& folder) {
    std::vector<parent_device> parents;
    for (auto p = folder.parent_path(); p.has_relative_path() && p.filename() != "devices"; p = p.parent_path()) {
        std::error_code error;
        auto const subsystem = fs::read_symlink(p / "subsystem", error).filename().string();
        if (!error) {
            parents.push_back({p, subsystem});
        }
    }
    return parents;
}

std::string loop_backing_file(fs::path const& folder) {
    auto file = read_text(folder / "loop" / "backing_file");
    if (file.ends_with('\n')) {
        file.pop_back();
    }
    return file;
}

} // namespace seedbed
