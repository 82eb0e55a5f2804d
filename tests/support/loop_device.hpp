#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>

#include "support/temp_dir.hpp"

namespace seedbed::test {

/// The reason why loop devices cannot be used here (no root, no /dev/loop-control), or nothing if they can.
[[nodiscard]] std::optional<std::string> loop_devices_missing();

/// A real block device: a loop device on its own sparse file, both removed when this is destroyed, also when a test
/// fails. Not safe to share between threads.
class loop_device {
public:
    struct options {
        std::int64_t size = std::int64_t{16} * 1024 * 1024; ///< bytes
        unsigned block_size = 512;                          ///< logical block size: 512 or 4096
        bool read_only = false;
        bool direct_io = false;  ///< past the page cache of the machine to the backing file
        bool partitions = false; ///< may have partitions: see add_partition()
        /// The path of the backing file.
        std::filesystem::path folder = std::filesystem::temp_directory_path();
        /// On this file or device, which must exist, instead of a file of its own.
        std::filesystem::path file = {};
        std::int64_t offset = 0; ///< bytes of the file before the device
        std::int64_t length = 0; ///< bytes; 0: to the end of the file
    };

    /// Throws std::system_error if the kernel refuses.
    explicit loop_device(options const& wanted);
    loop_device()
        : loop_device(options{}) {}
    loop_device(loop_device const&) = delete;
    loop_device& operator=(loop_device const&) = delete;
    ~loop_device();

    [[nodiscard]] std::string const& path() const noexcept { return m_path; }
    [[nodiscard]] std::filesystem::path const& backing_file() const noexcept { return m_backing_file; }

    /// Makes a partition without a partition table. Offset and length in bytes. \return its path.
    std::string add_partition(int number, std::int64_t offset, std::int64_t length);

private:
    temp_dir m_folder;
    std::filesystem::path m_backing_file;
    std::string m_path;
};

/// A mount that is undone in the destructor.
class mounted {
public:
    /// Like mount(2); throws std::system_error on failure.
    mounted(std::string const& source, std::filesystem::path target, std::string const& type, unsigned long flags = 0,
            std::string const& data = {});
    mounted(mounted const&) = delete;
    mounted& operator=(mounted const&) = delete;
    ~mounted();

private:
    std::filesystem::path m_target;
};

/// Runs a program without a shell and discards its output. \return its exit status, or nothing if no such program
/// exists or a signal ended it.
[[nodiscard]] std::optional<int> run_program(std::string const& program, std::initializer_list<std::string> arguments);

} // namespace seedbed::test

/// Ends a test case and prints the reason if loop devices are unavailable.
#define SEEDBED_REQUIRE_LOOP_DEVICES()                                                                                 \
    do {                                                                                                               \
        if (auto const reason = ::seedbed::test::loop_devices_missing()) {                                             \
            WARN("SKIPPED: " << *reason);                                                                              \
            return;                                                                                                    \
        }                                                                                                              \
    } while (false)
