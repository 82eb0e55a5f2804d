#include "core/foundation/error.hpp"

#include <cerrno>
#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("an I/O error names operation, device, place and errno") {
    io_error const failed{io_operation::write, "/dev/sda1", 1'048'576, 16'384, EIO};
    CHECK(failed.message() == "write /dev/sda1: offset 1048576, length 16384: Input/output error (EIO)");
}

TEST_CASE("an offset of 0 is named, too") {
    io_error const failed{io_operation::read, "/dev/sda", 0, 512, EIO};
    CHECK(failed.message() == "read /dev/sda: offset 0, length 512: Input/output error (EIO)");
}

TEST_CASE("an operation without a place names none") {
    io_error const failed{io_operation::flush, "/dev/nvme0n1", 0, 0, ENOSPC};
    CHECK(failed.message() == "flush /dev/nvme0n1: No space left on device (ENOSPC)");
}

TEST_CASE("each operation has its verb") {
    CHECK(std::string(to_string(io_operation::open)) == "open");
    CHECK(std::string(to_string(io_operation::read)) == "read");
    CHECK(std::string(to_string(io_operation::write)) == "write");
    CHECK(std::string(to_string(io_operation::flush)) == "flush");
    CHECK(std::string(to_string(io_operation::query)) == "query");
    CHECK(std::string(to_string(io_operation::hash)) == "hash");
}

TEST_CASE("an errno is named by its symbol, or by its number if it has none") {
    CHECK(errno_name(ENOENT) == "ENOENT");
    CHECK(errno_name(EBUSY) == "EBUSY");
    CHECK(errno_name(99'999) == "99999");
}

TEST_CASE("an error of a system call is one line: the path and the reason") {
    CHECK(errno_error("/etc/none", ENOENT).message == "/etc/none: No such file or directory (ENOENT)");
    CHECK(errno_error("x", 99'999).message == "x: Unknown error 99999 (99999)");
}
