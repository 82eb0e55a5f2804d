#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

/// One of the files that make up a configuration.
struct config_source {
    std::size_t order = 0; ///< position in the reading order of the files
    std::string name;      ///< as shown in messages
};

/// A place in a configuration.
struct config_place {
    config_source const* source = nullptr;
    std::size_t line = 0; ///< from 1

    /// "file:line".
    [[nodiscard]] std::string text() const;
};

/// Collects the errors of a configuration.
///
/// Threads: one at a time.
class error_report {
public:
    /// "file:line: key: reason".
    void add(config_place const& place, std::string_view key, std::string_view reason);
    /// Adds an error about a file as a whole, which \p message names.
    void add(config_source const& source, std::string message);

    [[nodiscard]] bool empty() const noexcept { return m_entries.empty(); }

    /// The errors, sorted by file and line; those of one line in the order in which they were added. Control characters
    /// in the configuration are escaped. Leaves the report empty.
    [[nodiscard]] std::vector<std::string> take_lines();

private:
    struct entry {
        std::size_t order; ///< of the file
        std::size_t line;  ///< 0 for the file as a whole
        std::string text;
    };
    std::vector<entry> m_entries;
};

/// \p text in single quotes, truncated if it is long: for quoting a value in a message.
[[nodiscard]] std::string in_quotes(std::string_view text);

} // namespace seedbed
