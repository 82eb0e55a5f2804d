#include "core/image/unpacked_files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/foundation/find_program.hpp"
#include "core/foundation/unique_fd.hpp"
#include "core/layout/program_run.hpp"

namespace seedbed {

namespace {

/// The first bytes of packed files, and the programs that unpack them with -dc.
struct packer_magic {
    std::string_view magic;
    std::string_view program;
};
constexpr std::array<packer_magic, 5> packers{{{"\x1f\x8b", "gzip"},
                                               {"\x28\xb5\x2f\xfd", "zstd"},
                                               {{"\xfd\x37zXZ\0", 6}, "xz"},
                                               {"BZh", "bzip2"},
                                               {"\x04\x22\x4d\x18", "lz4"}}};
constexpr std::size_t longest_magic = 6;

using path_list = std::vector<std::filesystem::path>;

result<std::size_t> read_some(int fd, std::string const& name, std::span<std::byte> buffer) {
    for (;;) {
        auto const got = ::read(fd, buffer.data(), buffer.size());
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno != EINTR) {
            return tl::unexpected(errno_error(name, errno));
        }
    }
}

/// Files that are not packed, one after another.
class joined_files final : public byte_source {
public:
    explicit joined_files(path_list files)
        : m_files(std::move(files))
        , m_name(m_files.front().string()) {}

    [[nodiscard]] std::string const& name() const noexcept override { return m_name; }
    [[nodiscard]] result<std::size_t> read(std::span<std::byte> buffer) override {
        for (; m_next <= m_files.size(); m_fd.reset()) {
            if (!m_fd) {
                if (m_next == m_files.size()) {
                    return 0;
                }
                auto const& path = m_files[m_next++];
                m_fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
                if (!m_fd) {
                    return tl::unexpected(errno_error(path.string(), errno));
                }
            }
            auto got = read_some(m_fd.get(), m_files[m_next - 1].string(), buffer);
            if (!got || *got > 0) {
                return got;
            }
        }
        return 0;
    }

private:
    path_list m_files;
    std::string m_name;
    std::size_t m_next = 0; ///< file to open
    unique_fd m_fd;
};

/// A child process that is ended with this object, if it has not ended by itself.
class child_program {
public:
    child_program() = default;
    child_program(child_program const&) = delete;
    child_program& operator=(child_program const&) = delete;
    ~child_program() {
        if (m_pid > 0) {
            ::kill(m_pid, SIGTERM);
            static_cast<void>(await()); // its output is not wanted any more
        }
    }

    result<void> start(std::string const& program, std::vector<std::string> const& arguments, int in, int out) {
        m_path = find_program(program);
        if (m_path.empty()) {
            return tl::unexpected(error{program + " is not installed, but needed to unpack the image"});
        }
        m_errors.reset(::memfd_create("errors", MFD_CLOEXEC));
        if (!m_errors) {
            return tl::unexpected(errno_error(program, errno));
        }
        auto const pid = start_program(m_path, arguments, {in, out, m_errors.get()});
        if (!pid) {
            return tl::unexpected(pid.error());
        }
        m_pid = *pid;
        return {};
    }

    /// Waits for its end; fails unless it succeeded.
    result<void> await() {
        auto const status = await_program(std::exchange(m_pid, 0), m_path);
        if (!status) {
            return tl::unexpected(status.error());
        }
        if (*status == 0) {
            return {};
        }
        std::array<char, 4096> text{};
        auto const got = ::pread(m_errors.get(), text.data(), text.size(), 0);
        auto const line = last_line_of({text.data(), static_cast<std::size_t>(got > 0 ? got : 0)});
        return tl::unexpected(
            error{m_path + " failed with exit status " + std::to_string(*status) + (line.empty() ? "" : ": " + line)});
    }

private:
    ::pid_t m_pid = 0;
    std::string m_path;
    unique_fd m_errors;
};

/// The output of `cat FILES | PROGRAM -dc`.
class unpacking_programs final : public byte_source {
public:
    explicit unpacking_programs(std::string name)
        : m_name(std::move(name)) {}

    result<void> start(std::string const& program, path_list const& files) {
        std::array<int, 2> joined{};
        std::array<int, 2> unpacked{};
        unique_fd const null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (!null || ::pipe2(joined.data(), O_CLOEXEC) != 0) {
            return tl::unexpected(errno_error(m_name, errno));
        }
        unique_fd const joined_out(joined[0]);
        unique_fd const joined_in(joined[1]);
        if (::pipe2(unpacked.data(), O_CLOEXEC) != 0) {
            return tl::unexpected(errno_error(m_name, errno));
        }
        m_output.reset(unpacked[0]);
        unique_fd const unpacked_in(unpacked[1]);
        std::vector<std::string> arguments{"--"};
        for (auto const& file : files) {
            arguments.push_back(file.string());
        }
        auto const reading = m_reader.start("cat", arguments, null.get(), joined_in.get());
        return reading ? m_unpacker.start(program, {"-dc"}, joined_out.get(), unpacked_in.get()) : reading;
    }

    [[nodiscard]] std::string const& name() const noexcept override { return m_name; }
    [[nodiscard]] result<std::size_t> read(std::span<std::byte> buffer) override {
        if (m_ended) {
            return 0;
        }
        auto got = read_some(m_output.get(), m_name, buffer);
        if (!got || *got > 0) {
            return got;
        }
        m_ended = true;
        auto const unpacked = m_unpacker.await();
        auto const read = m_reader.await();
        for (auto const* end : {&read, &unpacked}) { // the first one in the pipe has the cause
            if (!*end) {
                return tl::unexpected(error{m_name + ": " + end->error().message});
            }
        }
        return 0;
    }

private:
    std::string m_name;
    child_program m_reader;
    child_program m_unpacker;
    unique_fd m_output; ///< closed first, so that the programs see it
    bool m_ended = false;
};

} // namespace

result<std::unique_ptr<byte_source>> open_unpacked(path_list const& files) {
    auto const name = files.front().string();
    unique_fd const first(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!first) {
        return tl::unexpected(errno_error(name, errno));
    }
    std::array<std::byte, longest_magic> head{};
    auto const got = read_some(first.get(), name, head);
    if (!got) {
        return tl::unexpected(got.error());
    }
    std::string_view const start(reinterpret_cast<char const*>(head.data()), *got);
    auto const* const packer =
        std::ranges::find_if(packers, [&](packer_magic const& each) { return start.starts_with(each.magic); });
    if (packer == packers.end()) {
        return std::make_unique<joined_files>(files);
    }
    std::string const program(packer->program);
    auto made = std::make_unique<unpacking_programs>(name);
    if (auto const started = made->start(program, files); !started) {
        return tl::unexpected(error{name + ": " + started.error().message});
    }
    return made;
}

} // namespace seedbed
