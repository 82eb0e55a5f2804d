#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace seedbed::bench {

/// The figures of one run of one side, by name ("MiB/s"). The name states the meaning; the bench explains
/// more.
using figures = std::map<std::string, double>;

/// All runs of several sides that took turns.
class report {
public:
    /// \param title describes the comparison and its setup. \param sides in the order of their turns; ratios are to the
    /// first.
    report(std::string title, std::vector<std::string> sides);

    void add(std::string const& side, figures const& run);
    /// A table of medians, with the ratio to the first side, and the number of runs.
    [[nodiscard]] std::string table() const;
    /// Medians, ratios and every run.
    [[nodiscard]] nlohmann::ordered_json json() const;

private:
    [[nodiscard]] double median(std::string const& side, std::string const& figure) const;
    [[nodiscard]] std::vector<std::string> figure_names() const;

    std::string m_title;
    std::vector<std::string> m_sides;
    std::map<std::string, std::vector<figures>> m_runs;
};

} // namespace seedbed::bench
