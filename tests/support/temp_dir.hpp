#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace seedbed::test {

/// A new folder below a given one, otherwise below $TMPDIR (or /tmp); removed with its content.
class temp_dir {
public:
    explicit temp_dir(std::filesystem::path const& parent = std::filesystem::temp_directory_path()) {
        std::string name = (parent / "seedbed-test-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
        }
        m_path = name;
    }
    temp_dir(temp_dir const&) = delete;
    temp_dir& operator=(temp_dir const&) = delete;
    ~temp_dir() {
        std::error_code ignored; // a folder left behind must not end the program
        std::filesystem::remove_all(m_path, ignored);
    }

    [[nodiscard]] std::filesystem::path const& path() const noexcept { return m_path; }
    [[nodiscard]] std::filesystem::path operator/(std::filesystem::path const& name) const { return m_path / name; }

private:
    std::filesystem::path m_path;
};

} // namespace seedbed::test
