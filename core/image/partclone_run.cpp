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

#include "core/foundation/hex_number.hpp"
#include "core/image/input_file.hpp"

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
constexpr std::int64_t largest_log = 1LL << 30; ///< bytes of a domain log: more than twenty million ranges

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

/// Runs partclone with \p mode, which selects its work, and further options. Its messages go to the file \p output.
/// \return whether it ran to its end; false if it was cancelled.
result<bool> run_to_end(partclone_run const& run, std::vector<std::string> const& mode,
                        std::vector<std::string> const& options, fs::path const& folder, fs::path const& output) {
    auto arguments = mode;
    arguments.insert(arguments.end(), {"-s", run.source});
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"-L", (folder / "log").string(), "-B"});
    if (run.mounted) {
        arguments.emplace_back("-F");
    }
    bp::environment environment = boost::this_process::environment();
    environment["LC_ALL"] = "C"; // its output is parsed
    std::error_code ec;
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
        return false;
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
    if (run.warning) {
        std::ranges::for_each(warnings_of(output), run.warning);
    }
    return true;
}

tl::unexpected<error> no_folder(int code) {
    return tl::unexpected(errno_error("a folder for temporary files", code));
}

/// A number as partclone writes it in a domain log: "0x00448400".
std::optional<std::int64_t> log_number(std::string_view word) {
    return word.starts_with("0x") ? parse_hex_number(word.substr(2)) : std::nullopt;
}

} // namespace

std::optional<std::string> partclone_program(std::string_view file_system) {
    auto const* const found = std::ranges::find(programs, file_system, &decltype(programs)::value_type::first);
    return found == programs.end() ? std::nullopt : std::optional(std::string(found->second));
}

bool opens_exclusively(std::string_view file_system) {
    return file_system == "f2fs";
}

result<std::optional<partclone_info>> run_partclone(partclone_run const& run) {
    private_folder const folder;
    std::error_code ec;
    auto const image = folder.path() / "image";
    if (folder.path().empty() || !fs::create_directory(image, ec)) {
        return no_folder(ec ? ec.value() : errno);
    }
    auto const output = folder.path() / "output";
    std::vector<std::string> const options{"-O", image.string(), "--buffer_size", "16777216", "-f", "1"};
    auto const ran = run_to_end(run, {"-c", "-t"}, options, folder.path(), output);
    if (!ran) {
        return tl::unexpected(ran.error());
    }
    if (!*ran) {
        return std::nullopt;
    }
    if (run.progress) {
        auto const [done, total] = progress_of(output);
        run.progress(total, total);
    }
    auto info = load_partclone_info(image / "torrent.info");
    if (!info) {
        return tl::unexpected(std::move(info.error()));
    }
    return std::move(*info);
}

result<std::optional<std::vector<extent>>> find_used_blocks(partclone_run const& run) {
    private_folder const folder;
    if (folder.path().empty()) {
        return no_folder(errno);
    }
    auto const log = folder.path() / "domain";
    // Before it ends, partclone waits for its progress thread, which sleeps for the interval that -f sets (partclone
    // 0.3.23, main.c, thread_update_pui()). That thread runs only while the log is written, which takes moments.
    std::vector<std::string> const options{"-O", log.string(), "-f", "0"};
    auto const ran = run_to_end(run, {"-D"}, options, folder.path(), folder.path() / "output");
    if (!ran) {
        return tl::unexpected(ran.error());
    }
    if (!*ran) {
        return std::nullopt;
    }
    auto const text = read_input_file(log, largest_log);
    if (!text) {
        return tl::unexpected(text.error());
    }
    auto found = parse_domain_log(*text, run.program + " -D", run.size);
    if (!found) {
        return tl::unexpected(std::move(found.error()));
    }
    return std::move(*found);
}

result<std::vector<extent>> parse_domain_log(std::string_view text, std::string const& name, std::int64_t size) {
    std::vector<extent> used;
    std::int64_t end = 0;
    std::istringstream lines{std::string(text)};
    std::int64_t number = 0;
    bool position = false; // the first line that is not a comment
    auto const refuse = [&](std::string const& reason) {
        return tl::unexpected(error{name + ":" + std::to_string(number) + ": " + reason});
    };
    for (std::string line; std::getline(lines, line);) {
        ++number;
        if (line.starts_with('#')) {
            continue;
        }
        if (!position) {
            position = true;
            continue;
        }
        std::istringstream words(line);
        std::string at;
        std::string length;
        std::string status;
        words >> at >> length >> status;
        auto const begin = log_number(at);
        auto const bytes = log_number(length);
        if (!begin || !bytes || (status != "+" && status != "?")) {
            return refuse("expected a position, a size and a status");
        }
        if (status == "?" || *bytes == 0) {
            continue;
        }
        if (*begin < end) {
            return refuse("a range that begins at " + std::to_string(*begin) + ", before the end of the one before it");
        }
        if (*begin > size || *bytes > size - *begin) {
            return refuse("a range of " + std::to_string(*bytes) + " bytes at " + std::to_string(*begin) +
                          ", beyond the source's " + std::to_string(size) + " bytes");
        }
        if (!used.empty() && *begin == end) {
            used.back().length += *bytes;
        } else {
            used.push_back({*begin, *bytes});
        }
        end = *begin + *bytes;
    }
    if (used.empty()) {
        return tl::unexpected(error{name + ": no used block"});
    }
    return used;
}

} // namespace seedbed
