#include "core/image/partclone_run.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/env.hpp>
#include <boost/process/error.hpp>
#include <boost/process/io.hpp>
#include <unistd.h>

namespace seedbed {

namespace bp = boost::process;
namespace fs = std::filesystem;

namespace {

/// blkid's names of file systems, and the partclone programs for them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> programs{{
    {"apfs", "partclone.apfs"},
    {"btrfs", "partclone.btrfs"},
    {"exfat", "partclone.exfat"},
    {"ext2", "partclone.ext2"},
    {"ext3", "partclone.ext3"},
    {"ext4", "partclone.ext4"},
    {"f2fs", "partclone.f2fs"},
    {"hfsplus", "partclone.hfsplus"},
    {"jfs", "partclone.jfs"},
    {"minix", "partclone.minix"},
    {"nilfs2", "partclone.nilfs2"},
    {"ntfs", "partclone.ntfs"},
    {"reiser4", "partclone.reiser4"},
    {"reiserfs", "partclone.reiserfs"},
    {"vfat", "partclone.vfat"},
    {"xfs", "partclone.xfs"},
}};

constexpr std::chrono::milliseconds poll_interval{50};
/// Parts of partclone's output: the first lines hold the size, the last ones the progress.
constexpr std::streamoff head_size = 4096;
constexpr std::streamoff tail_size = 1024;
constexpr std::streamoff warnings_size = 1 << 20;

/// A temporary folder that only this user can read; the destructor removes it with its contents.
class private_folder {
public:
    /// If it cannot be created, path() is empty and errno is set.
    private_folder() {
        std::error_code ec;
        auto name = (fs::temp_directory_path(ec) / "seedbed-XXXXXX").string();
        if (!ec && ::mkdtemp(name.data()) != nullptr) {
            m_path = name;
        } else if (ec) {
            errno = ec.value();
        }
    }
    private_folder(private_folder const&) = delete;
    private_folder& operator=(private_folder const&) = delete;
    ~private_folder() {
        if (!m_path.empty()) {
            std::error_code ec; // files that cannot be removed are left for the system to clean up
            fs::remove_all(m_path, ec);
        }
    }
    [[nodiscard]] fs::path const& path() const noexcept { return m_path; }

private:
    fs::path m_path;
};

std::string read_part(fs::path const& file, std::streamoff from_end, std::streamoff count) {
    std::ifstream in(file, std::ios::binary);
    if (from_end > 0) {
        in.seekg(0, std::ios::end);
        in.seekg(std::max<std::streamoff>(in.tellg() - std::streampos(from_end), 0));
    }
    std::string text(static_cast<std::size_t>(count), '\0');
    in.read(text.data(), count);
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return text;
}

/// The number after the last \p before, or after the first \p then that follows it; nothing if there is none.
std::optional<double> number_after(std::string const& text, std::string_view before, std::string_view then = {}) {
    auto at = text.rfind(before);
    if (at != std::string::npos && !then.empty()) {
        at = text.find(then, at + before.size());
        before = then;
    }
    if (at == std::string::npos) {
        return std::nullopt;
    }
    char const* const begin = text.c_str() + at + before.size();
    char* end = nullptr;
    auto const number = std::strtod(begin, &end);
    return end == begin ? std::nullopt : std::optional(number);
}

/// Bytes done and in use. partclone prints "Space in use: 342.2 MB = 83540 Blocks" and "Block size: 4096 Byte" once,
/// then "Completed:  45.00%" repeatedly.
std::pair<std::int64_t, std::int64_t> progress_of(fs::path const& output) {
    auto const head = read_part(output, 0, head_size);
    auto const blocks = number_after(head, "Space in use:", "=");
    auto const block_size = number_after(head, "Block size:");
    if (!blocks || !block_size) {
        return {0, 0};
    }
    auto tail = read_part(output, tail_size, tail_size);
    if (auto const at = tail.rfind("Block size:"); at != std::string::npos) {
        tail.erase(0, at); // percentages before it belong to another phase
    }
    auto const percent = number_after(tail, "Completed:").value_or(0);
    auto const total = *blocks * *block_size;
    return {static_cast<std::int64_t>(total * percent / 100), static_cast<std::int64_t>(total)};
}

/// The non-empty lines of partclone's output, as printable ASCII.
std::vector<std::string> lines_of(std::string text) {
    std::ranges::replace(text, '\r', '\n');
    std::ranges::replace_if(
        text, [](char c) { return c != '\n' && (c < 0x20 || c > 0x7e); }, '?');
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (line.find_first_not_of(' ') != std::string::npos) {
            lines.push_back(line);
        }
    }
    return lines;
}

/// The last line of partclone's output: its error message.
std::string last_words(fs::path const& output) {
    std::string last;
    for (auto const& line : lines_of(read_part(output, tail_size, tail_size))) {
        if (!line.starts_with("Partclone ")) {
            last = line;
        }
    }
    return last;
}

/// partclone's warnings, each once, from the first MiB of its output.
std::vector<std::string> warnings_of(fs::path const& output) {
    std::vector<std::string> warnings;
    for (auto const& line : lines_of(read_part(output, 0, warnings_size))) {
        auto const warns = line.find("WARN") != std::string::npos || line.find("Warn") != std::string::npos ||
                           line.find("warning") != std::string::npos;
        if (warns && std::ranges::find(warnings, line) == warnings.end()) {
            warnings.push_back(line);
        }
    }
    return warnings;
}

} // namespace

std::optional<std::string> partclone_program(std::string_view file_system) {
    auto const* const found = std::ranges::find(programs, file_system, &decltype(programs)::value_type::first);
    return found == programs.end() ? std::nullopt : std::optional(std::string(found->second));
}

bool opens_exclusively(std::string_view file_system) {
    return file_system == "f2fs";
}

std::string find_program(std::string const& name) {
    auto const* const path = std::getenv("PATH");
    std::istringstream folders(std::string(path != nullptr ? path : "") + ":/usr/sbin:/usr/bin:/sbin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
        auto const file = fs::path(folder) / name;
        if (std::error_code ec;
            file.is_absolute() && fs::is_regular_file(file, ec) && ::access(file.c_str(), X_OK) == 0) {
            return file.string();
        }
    }
    return {};
}

result<std::optional<partclone_info>> run_partclone(partclone_run const& run) {
    private_folder const folder;
    std::error_code ec;
    auto const image = folder.path() / "image";
    if (folder.path().empty() || !fs::create_directory(image, ec)) {
        return tl::unexpected(errno_error("a folder for temporary files", ec ? ec.value() : errno));
    }
    auto const output = folder.path() / "output";
    std::vector<std::string> arguments{"-c",
                                       "-t",
                                       "-s",
                                       run.source,
                                       "-O",
                                       image.string(),
                                       "--buffer_size",
                                       "16777216",
                                       "-L",
                                       (folder.path() / "log").string(),
                                       "-B",
                                       "-f",
                                       "1"};
    if (run.mounted) {
        arguments.emplace_back("-F");
    }
    bp::environment environment = boost::this_process::environment();
    environment["LC_ALL"] = "C"; // its output is parsed
    bp::child child(run.program, bp::args(arguments), environment,
                    bp::std_in<bp::null, (bp::std_out & bp::std_err)> output.string(), ec);
    if (ec) {
        return tl::unexpected(errno_error(run.program, ec.value()));
    }
    auto const cancelled = [&] { return run.cancelled != nullptr && run.cancelled->load(); };
    while (child.running(ec) && !ec) {
        if (cancelled()) {
            child.terminate(ec);
            break;
        }
        std::this_thread::sleep_for(poll_interval); // Boost's wait_for() forks
        if (run.progress) {
            auto const [done, total] = progress_of(output);
            run.progress(done, total);
        }
    }
    if (cancelled()) {
        return std::nullopt;
    }
    if (ec) {
        return tl::unexpected(errno_error(run.program, ec.value()));
    }
    if (child.exit_code() != 0) {
        auto const words = last_words(output);
        return tl::unexpected(
            error{run.program + " could not capture " + run.source +
                  (words.empty() ? ": exit status " + std::to_string(child.exit_code()) : ": " + words)});
    }
    if (run.progress) {
        auto const [done, total] = progress_of(output);
        run.progress(total, total);
    }
    if (run.warning) {
        std::ranges::for_each(warnings_of(output), run.warning);
    }
    auto info = load_partclone_info(image / "torrent.info");
    if (!info) {
        return tl::unexpected(std::move(info.error()));
    }
    return std::move(*info);
}

} // namespace seedbed
